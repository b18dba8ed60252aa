"""The embedded lake: its start, and its whole transfer matrix against a loop over gfal-copy."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pytest_datalake.capabilities.content import make_content
from pytest_datalake.clients.rucio import File
from pytest_datalake.drivers.api import Credential
from pytest_datalake.fixtures.identities import Identities
from pytest_datalake.fixtures.rucio_logins import RucioLogins
from pytest_datalake.lake.composition import ANY_AUDIENCE
from pytest_datalake.lake.running import CLIENT_SETTINGS, Lake, adopt
from pytest_datalake.matrix.routes import rule_links
from pytest_datalake.matrix.selection import Selection, select
from tests.bench.measuring import ROOT, BenchmarkError, Row, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_datalake.matrix.model import Auth, Endpoint, Identity, Link
    from tests.bench.measuring import Ended

LOGGER = logging.getLogger(__name__)

MATRIX = ROOT / "site_matrix.yaml"
TEST = "suites/transfer/test_links.py::test_file_arrives_intact"
_FILE_SIZE = 1 << 20
_COPY_SECONDS = 120
_GFAL_SETTINGS = Path("/etc/gfal2.d")


@contextmanager
def directory_for_a_lake() -> Iterator[Path]:
    """A short path that the daemons' own accounts can reach."""
    directory = Path(tempfile.mkdtemp(prefix="datalake-bench-", dir="/var/tmp"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def running_lake(directory: Path, matrix: Path = MATRIX) -> Iterator[tuple[Lake, Ended]]:
    """A lake, the repository's own by default, and the `datalake up` that has put it up."""
    state = directory / "lake"
    try:
        up_command = [sys.executable, "-m", "pytest_datalake.cli", "up", "--matrix", str(matrix)]
        ended = run([*up_command, "--state-dir", state], directory=directory)
        lake = adopt(state)
        if lake is None:
            raise BenchmarkError(f"`datalake up` has ended, and no lake runs in {state}")
        yield lake, ended
    finally:
        lake = adopt(state)
        if lake is not None:
            lake.down()


def up(*, runs: int, matrix: Path = MATRIX) -> list[Row]:
    """`datalake up`: seconds until everything answers and until Rucio has taken a rule, and memory then."""
    seconds, until_a_rule, memory, storage_seconds, storage_memory = [], [], [], [], []
    for _ in range(runs):
        with directory_for_a_lake() as directory, running_lake(directory, matrix) as (lake, ended):
            seconds.append(ended.seconds)
            until_a_rule.append(ended.seconds + _add_a_rule(lake, directory))
            memory.append(lake.memory())
            storage_seconds.append(max(float(moment) for moment in _STORAGE_ANSWERS.findall(ended.output)))
            storage_memory.append(_storage_memory(lake))
            matrix_of_lake = lake.matrix
            services = len(lake.status()["services"])
    doors = f"{len(matrix_of_lake.endpoints)} endpoints of {len(matrix_of_lake.sites)} sites"
    return [
        _lake_row(f"`datalake up`, {doors} and {services} services", seconds, "{:.1f} s"),
        _lake_row(f"of that, until {doors} answered", storage_seconds, "{:.1f} s"),
        Row(
            what="from `datalake up` until Rucio has taken a rule",
            value=f"{statistics.median(until_a_rule):.1f} s",
            compared="design: 20 s",
            ratio=f"{statistics.median(until_a_rule) / 20:.2f}",
            runs=runs,
        ),
        _lake_row("memory of that lake (PSS)", memory, "{:.0f} MiB"),
        _lake_row("of that, storage daemons", storage_memory, "{:.0f} MiB"),
    ]


_STORAGE_ANSWERS = re.compile(r"^ *([0-9.]+) s  \S+/\S+ answers$", re.MULTILINE)
"""What `datalake up` says of a process of an RSE; those of services have no slash in their names."""


def _storage_memory(lake: Lake) -> float:
    """MiB that the processes of all RSEs hold, shared pages counted once (PSS)."""
    sites = lake.status()["sites"].values()
    rses = [rse for site in sites for rse in site["rses"].values()]
    daemons = [psutil.Process(one["pid"]) for rse in rses for one in rse["processes"].values()]
    everything = [one for daemon in daemons for one in (daemon, *daemon.children(recursive=True))]
    return float(sum(one.memory_full_info().pss for one in everything)) / 2**20


def _lake_row(what: str, measured: Sequence[float], form: str) -> Row:
    value = form.format(statistics.median(measured))
    return Row(what=what, value=value, compared="", ratio="", runs=len(measured))


def _add_a_rule(lake: Lake, directory: Path) -> float:
    """Seconds that it takes to log in, register a file and ask for a copy of it."""
    member = next(one for one in lake.matrix.identities if one.experiment)
    scope = lake.matrix.experiment(member.experiment).rucio_scope
    link = next(one for one in rule_links(lake.matrix) if not one.multihop)
    started = time.monotonic()
    identities = Identities(lake.matrix, directory, (member.experiment,))
    rucio = RucioLogins(lake.matrix, identities, directory, timeout=_COPY_SECONDS)(member)
    file = File(scope=scope, name="bench/first", size=1, adler32="00320032")
    rucio.add_files(link.source.rse, [file])
    rucio.add_rule([file.did], link.destination.rse, lifetime=3600)
    return time.monotonic() - started


def transfer_matrix(*, runs: int, workers: int, links: int | None, longest: float) -> list[Row]:
    """Every third-party link, in parallel by pytest and one after another by gfal-copy, on one running lake.

    Args:
        runs: of pytest; the loop runs once.
        workers: of pytest.
        links: only so many, evenly spread; None: all.
        longest: seconds after which the loop stops, and its time is extrapolated.
    """
    with directory_for_a_lake() as directory, running_lake(directory) as (lake, _):
        chosen = _spread(select(lake.matrix, Selection()).links, links)
        loop = GfalLoop(lake, directory)
        done, serial, failed = loop.copy_all(chosen, longest=longest)
        taken = [
            _pytest(lake, directory, chosen, workers=workers, all_links=links is None) for _ in range(runs)
        ]
        parallel = statistics.median(seconds for seconds, _ in taken)
        passed = min(count for _, count in taken)
    whole = serial * len(chosen) / done
    how = f"{whole:.0f} s" if done == len(chosen) else f"{whole:.0f} s, extrapolated from {done} links"
    return [
        Row(
            what=f"transfer matrix, {len(chosen)} links in {workers} workers, every file read back and "
            f"compared ({passed} passed)",
            value=f"{parallel:.0f} s",
            compared=f"serial loop over gfal-copy, copies alone ({failed} failed): {how}",
            ratio=f"{parallel / whole:.2f}",
            runs=runs,
        )
    ]


def _spread(links: Sequence[Link], count: int | None) -> list[Link]:
    if count is None or count >= len(links):
        return list(links)
    return [links[number * len(links) // count] for number in range(count)]


def _pytest(
    lake: Lake, directory: Path, links: Sequence[Link], *, workers: int, all_links: bool
) -> tuple[float, int]:
    """Wall time of the whole command, and the links that passed."""
    tests = [TEST] if all_links else [f"{TEST}[{link.id}]" for link in links]
    reports = directory / "reports"
    command = [sys.executable, "-m", "pytest", *tests, "-n", str(workers), "-q", "--matrix", str(MATRIX)]
    command += ["--state-dir", str(lake.state_dir), "--report-dir", str(reports)]
    ended = run(command, directory=ROOT, accepted=(0, 1, 3))
    verdict = json.loads((reports / "verdict.json").read_text())
    if verdict["links"]["planned"] != len(links):
        raise BenchmarkError(f"pytest planned {verdict['links']['planned']} links, not {len(links)}")
    return ended.seconds, int(verdict["links"]["passed"])


class GfalLoop:
    """What one would write without this project: upload once, then one gfal-copy after another."""

    def __init__(self, lake: Lake, directory: Path) -> None:
        self._lake = lake
        matrix = lake.matrix
        names = tuple(one.name for one in matrix.experiments)
        self._identities = Identities(matrix, directory, names)
        self._content = make_content(directory, size=_FILE_SIZE, seed="bench")
        self._uploaded: set[str] = set()
        self._settings = self._gfal_settings(directory)

    def copy_all(self, links: Sequence[Link], *, longest: float) -> tuple[int, float, int]:
        """How many links were tried, the seconds that took, and how many failed."""
        started, failed = time.monotonic(), 0
        for number, link in enumerate(links, start=1):
            said = self._copy(link, number)
            if said:
                failed += 1
                LOGGER.warning("gfal-copy over %s failed: %s", link.id, said)
            if time.monotonic() - started > longest:
                return number, time.monotonic() - started, failed
        return len(links), time.monotonic() - started, failed

    def _copy(self, link: Link, number: int) -> str:
        """What went wrong; empty when nothing did."""
        identity = self._identities.for_cell(link.id)
        area = f"{self._identities.experiment(identity).area}/bench"
        source = link.source.url(f"{area}/source")
        environment = self._environment(self._credential(identity, link.source, link.auth))
        if source not in self._uploaded:
            upload = self._environment(self._credential(identity, link.source, link.auth_at(link.source)))
            said = self._gfal_copy(f"file://{self._content.path}", source, "streamed", upload)
            if said:
                return said
            self._uploaded.add(source)
        destination = link.destination.url(f"{area}/arrived-{number}")
        return self._gfal_copy(source, destination, link.declared_modes[0], environment)

    @staticmethod
    def _gfal_copy(source: str, destination: str, mode: str, environment: dict[str, str]) -> str:
        command = ["gfal-copy", "--parent", "--force", "--timeout", str(_COPY_SECONDS)]
        command += ["--copy-mode", mode, source, destination]
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        return done.stderr.decode(errors="replace")[-300:].strip() if done.returncode else ""

    def _credential(self, identity: Identity, endpoint: Endpoint, auth: Auth) -> Credential:
        if auth == "token-scope":
            area = self._identities.experiment(identity).area
            scope = " ".join(f"storage.{right}:{area}" for right in ("read", "create", "modify"))
            return Credential(kind="token", token=self._identities.token(identity, ANY_AUDIENCE, scope))
        return self._identities.credential(identity, endpoint, auth)

    def _environment(self, credential: Credential) -> dict[str, str]:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._settings),
            "GFAL_PYTHONBIN": "/usr/bin/python3",
            "GFAL_CONFIG_DIR": str(self._settings),
            **self._lake.environment,
            **CLIENT_SETTINGS,
        }
        if credential.kind == "token":
            return environment | {"BEARER_TOKEN": credential.token, "XrdSecPROTOCOL": "ztn"}
        if credential.kind == "x509":
            return environment | {"X509_USER_PROXY": credential.proxy, "XrdSecPROTOCOL": "gsi"}
        return environment

    def _gfal_settings(self, directory: Path) -> Path:
        """gfal2's own settings, and the keys of the object stores in a file for us alone."""
        settings = directory / "gfal2.d"
        settings.mkdir(mode=0o700)
        for template in _GFAL_SETTINGS.glob("*.conf"):
            shutil.copy(template, settings)
        matrix = self._lake.matrix
        keys = [one.access_key_file for one in matrix.identities if one.access_key_file]
        if keys:
            pair = json.loads(Path(keys[0]).read_text())
            hosts = sorted({one.host for one in matrix.endpoints if one.protocol == "s3s"})
            text = "".join(
                f"[S3:{host}]\nACCESS_KEY={pair['access_key']}\nSECRET_KEY={pair['secret_key']}\n"
                "REGION=us-east-1\nALTERNATE=true\n"
                for host in hosts
            )
            descriptor = os.open(settings / "object-store.conf", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
        return settings
