"""The death of a service costs time and nothing else: on a lake apart, whose services nobody else uses."""

import pytest

pytestmark = [
    pytest.mark.capability("rule"),
    pytest.mark.layer("rule"),
    pytest.mark.needs("embedded", "fts"),
    pytest.mark.disruptive,
]


def test_killed_services_lose_neither_jobs_nor_files(lake_apart, eventually, evidence):
    files = lake_apart.register(*(f"file-{number}" for number in range(20)))

    jobs = [lake_apart.submit(file, f"copied/{file.name}") for file in files]
    lake_apart.kill("fts")
    assert lake_apart.trouble() == {"fts"}
    lake_apart.start_again("fts")
    states = eventually(
        lambda: {job_id: job.state for job_id, job in lake_apart.transfer_manager.jobs(jobs).items()},
        until=lambda seen: set(seen.values()) == {"FINISHED"},
        within=180,
    )
    assert set(states) == set(jobs), "a job that was accepted is lost"
    assert all(lake_apart.has(f"copied/{file.name}") for file in files)

    rules = lake_apart.add_rules(files)
    lake_apart.kill("rucio-daemons")
    lake_apart.kill("postgresql")
    assert lake_apart.trouble() == {"rucio"}
    lake_apart.start_again("postgresql")
    lake_apart.start_again("rucio-daemons")
    eventually(lake_apart.trouble, until=lambda seen: not seen, within=60)
    there = lake_apart.rucio.replicas([file.did for file in files])
    assert all(lake_apart.source in there[file.did] for file in files), "a file that was registered is lost"
    eventually(
        lambda: {lake_apart.rucio.rule(rule).state for rule in rules},
        until=lambda seen: seen == {"OK"},
        within=240,
    )
    assert all(lake_apart.has(file.name) for file in files)
    evidence["jobs"], evidence["rules"] = len(jobs), len(rules)
