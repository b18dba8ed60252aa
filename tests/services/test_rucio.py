"""The lake's Rucio is a real one, and outlives the death of its parts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from rucio.common.exception import DatabaseException

from pytest_datalake.capabilities.sweep import sweep_catalogue
from pytest_datalake.clients.rucio import File
from pytest_datalake.clients.rucio_login import answers
from pytest_datalake.errors import ServiceError, StorageError

if TYPE_CHECKING:
    from .conftest import RucioLake

OURS = "pytest-datalake/20260101t000000-000000"

DAEMONS = 19
"""Threads of Rucio's that have a heartbeat."""

LONGER_THAN_A_CYCLE = 5
"""Seconds."""


def missing_file(name: str) -> File:
    return File(scope="ska", name=f"pytest-datalake/x/{name}", size=10, adler32="00000001")


def test_rucio_serves_its_own_client_and_says_what_runs(rucio_lake: RucioLake) -> None:
    services = rucio_lake.lake.status()["services"]
    assert set(services) == {"iam", "fts", "postgresql", "activemq", "rucio", "rucio-daemons"}
    for name, service in services.items():
        os.kill(rucio_lake.pid(name), 0)
        assert Path(service["log"]).is_file()
    configuration = rucio_lake.state_dir / "client" / "rucio.cfg"
    configuration.parent.mkdir(mode=0o700)
    trust = rucio_lake.lake.matrix.trust
    configuration.write_text(
        f"[client]\nrucio_host = {services['rucio']['url']}\nauth_host = {services['rucio']['url']}\n"
        f"ca_cert = {trust.ca_file}\nauth_token_file_path = {configuration.with_name('token')}\n"
        f"auth_type = userpass\naccount = ska\nusername = ska\npassword = "
        f"{Path(rucio_lake.lake.matrix.identity('ska').password_file).read_text()}\n"
    )
    done = subprocess.run(
        [Path(sys.executable).with_name("rucio"), "whoami"],
        env={"PATH": os.defpath, "RUCIO_CONFIG": str(configuration), "HOME": str(configuration.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "account    : ska" in done.stdout, done.stdout + done.stderr
    rucio = rucio_lake.log_in()
    assert rucio.rses("QOS=A") == ["COMO-A", "GARDA-A"]
    with pytest.raises(StorageError) as refusal:
        rucio.add_dataset(("lofar", "not-ours"))
    assert refusal.value.kind == "denied"
    assert rucio_lake.log_in("robot", "x509").account == "root"


def test_nothing_registered_is_lost_when_the_database_is_killed(rucio_lake: RucioLake) -> None:
    rucio = rucio_lake.log_in()
    registered = [missing_file(f"registered-{number}") for number in range(50)]
    rucio.add_files("COMO-A", registered)
    rucio_lake.kill("postgresql")
    until = time.monotonic() + 60
    while not (ended := rucio_lake.lake.status()["services"]["postgresql"]["ended"]):
        assert time.monotonic() < until, "the keeper does not tell of it"
    assert ended == "killed by SIGKILL"
    started = time.monotonic()
    with pytest.raises(ServiceError, match="Rucio at https://localhost") as fault:
        rucio.add_files("COMO-A", [missing_file("too-late")])
    assert time.monotonic() - started < 60
    assert fault.value.service == "rucio"
    rucio_lake.start_again("postgresql")
    rucio_lake.wait_until_rucio_answers()
    assert len(rucio.replicas([one.did for one in registered])) == 50


def test_every_daemon_outlives_its_database(rucio_lake: RucioLake) -> None:
    rucio, until = rucio_lake.log_in(), time.monotonic() + 60
    while len(daemons := rucio_lake.heartbeats().keys()) < DAEMONS:
        assert time.monotonic() < until, ", ".join(sorted(daemons))
    rucio_lake.kill("postgresql")
    until = time.monotonic() + LONGER_THAN_A_CYCLE
    while time.monotonic() < until:
        with pytest.raises(ServiceError):
            rucio.whoami()
    rucio_lake.start_again("postgresql")
    rucio_lake.wait_until_rucio_answers()
    then, until = rucio_lake.heartbeats(), time.monotonic() + 60
    while silent := {name for name in daemons if rucio_lake.heartbeats().get(name) == then.get(name)}:
        assert time.monotonic() < until, silent


def test_a_fault_of_the_database_shows_no_token() -> None:
    said = "Details: gone\n[SQL: SELECT 1]\n[parameters: {'token_1': 'ska-ska-unknown-4714'}]"
    with pytest.raises(ServiceError, match=r"Details: gone$"), answers("https://rucio.example", "log in"):
        raise DatabaseException(said)


def test_the_sweep_leaves_neither_rules_nor_replicas_of_a_run(rucio_lake: RucioLake) -> None:
    rucio = rucio_lake.log_in()
    ours = [File(scope="ska", name=f"{OURS}/a/{number}", size=10, adler32="00000001") for number in range(3)]
    other = File(scope="ska", name=f"{OURS}-of-another/a/0", size=10, adler32="00000001")
    rucio.add_files("COMO-A", [*ours, other])
    rucio.add_dataset(("ska", f"{OURS}/a/dataset"), [one.did for one in ours])
    rules = rucio.add_rule([("ska", f"{OURS}/a/dataset")], "COMO-A", lifetime=3600)
    (kept,) = rucio.add_rule([other.did], "COMO-A", lifetime=3600)
    assert sweep_catalogue(rucio, "ska", f"/{OURS}") == []
    deadline = time.monotonic() + 90
    while any(map(rucio.rule_exists, rules)) or rucio.replicas([one.did for one in ours]):
        assert time.monotonic() < deadline, rucio.replicas([one.did for one in ours])
    assert rucio.rule_exists(kept)
    assert sweep_catalogue(rucio_lake.log_in("lofar"), "ska", f"/{OURS}-of-another") != []


def test_rucio_that_does_not_answer_is_a_service_in_trouble(rucio_lake: RucioLake) -> None:
    rucio = rucio_lake.log_in(timeout=2)
    server = psutil.Process(rucio_lake.pid("rucio"))
    processes = [server, *server.children(recursive=True)]
    for one in processes:
        one.suspend()
    started = time.monotonic()
    with pytest.raises(ServiceError, match="does not answer"):
        rucio.whoami()
    assert time.monotonic() - started < 20
    for one in processes:
        one.resume()
    rucio_lake.kill("rucio")
    with pytest.raises(ServiceError, match="does not answer"):
        rucio.whoami()
    rucio_lake.start_again("rucio")
    assert rucio.whoami() == "ska"
