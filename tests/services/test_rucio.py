"""The lake's Rucio is a real one, and outlives the death of its parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from pytest_datalake.clients.rucio import File
from pytest_datalake.errors import ServiceError, StorageError
from pytest_datalake.lake.running import tidy

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.clients.rucio import Rucio

    from .conftest import RucioLake

BROKEN = File(scope="ska", name="pytest-datalake/x/file", size=10, adler32="00000001")


def test_rucio_serves_its_own_client_and_says_what_runs(rucio_lake: RucioLake) -> None:
    services = rucio_lake.lake.status()["services"]
    assert set(services) == {"issuer", "fts", "postgresql", "activemq", "rucio", "rucio-daemons"}
    for service in services.values():
        os.kill(service["pid"], 0)
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


def test_nothing_registered_is_lost_when_the_database_is_killed(
    rucio_lake: RucioLake, answers_again: Callable[[Rucio], None]
) -> None:
    rucio = rucio_lake.log_in()
    registered = [
        File(scope="ska", name=f"pytest-datalake/x/{number}", size=10, adler32="00000001")
        for number in range(50)
    ]
    rucio.add_files("COMO-A", registered)
    rucio_lake.kill("postgresql")
    started = time.monotonic()
    with pytest.raises(ServiceError, match="Rucio at https://localhost") as fault:
        rucio.add_files("COMO-A", [BROKEN])
    assert time.monotonic() - started < 60
    assert fault.value.service == "rucio"
    rucio_lake.start_again("postgresql")
    answers_again(rucio)
    assert len(rucio.replicas([one.did for one in registered])) == 50


def test_a_rule_outlives_the_daemons(rucio_lake: RucioLake) -> None:
    rucio = rucio_lake.log_in()
    rucio.add_files("COMO-A", [BROKEN])
    rucio_lake.kill("rucio-daemons")
    (rule,) = rucio.add_rule([BROKEN.did], "GARDA-A", lifetime=3600, source="COMO-A")
    assert rucio.rule(rule).state == "REPLICATING"
    assert rucio_lake.lake.status()["services"]["rucio-daemons"]["ended"] == "killed by SIGKILL"
    rucio_lake.start_again("rucio-daemons")
    deadline = time.monotonic() + 90
    while rucio.rule(rule).state != "STUCK":  # there is no such file
        assert time.monotonic() < deadline, rucio.rule(rule)
    assert "not found" in rucio.rule(rule).error.lower()


def test_rucio_that_does_not_answer_is_a_service_in_trouble(rucio_lake: RucioLake) -> None:
    rucio = rucio_lake.log_in(timeout=2)
    server = psutil.Process(rucio_lake.pids["rucio"])
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
    with pytest.raises(ServiceError):
        rucio.whoami()


def test_a_killed_keeper_leaves_nothing(rucio_lake: RucioLake) -> None:
    services = rucio_lake.lake.status()["services"]
    database = psutil.Process(services["postgresql"]["pid"])
    lines = (rucio_lake.state_dir / "rucio/database/cluster/postmaster.pid").read_text().splitlines()
    memory = lines[6].split()[1]
    mark = f"PYTEST_DATALAKE_STATE={rucio_lake.state_dir}"
    psutil.Process(database.pid).kill()  # it cannot tidy up
    os.kill(rucio_lake.lake.status()["keeper"]["pid"], signal.SIGKILL)
    psutil.wait_procs([database], timeout=10)
    tidy(rucio_lake.state_dir)
    left = [one.pid for one in psutil.process_iter() if mark in _environment(one)]
    listed = subprocess.run(["ipcs", "--shmems"], capture_output=True, text=True, check=True).stdout
    assert memory not in listed.split()
    deadline = time.monotonic() + 10
    while left := [pid for pid in left if psutil.pid_exists(pid) and not _is_zombie(pid)]:
        assert time.monotonic() < deadline, left
    assert not (rucio_lake.state_dir / "rucio").exists()


def test_secrets_are_in_no_log(rucio_lake: RucioLake) -> None:
    rucio_lake.log_in()
    rucio_lake.log_in("ska", "x509_proxy")
    matrix = rucio_lake.lake.matrix
    secrets = [Path(one.password_file).read_text() for one in matrix.identities]
    issuers = json.loads((rucio_lake.state_dir / "rucio/etc/idpsecrets.json").read_text())
    secrets.append(issuers["lake"]["client_secret"])
    for log in rucio_lake.state_dir.rglob("*.out"):
        content = log.read_text(errors="replace")
        assert not [one for one in secrets if one in content], log


def _environment(process: psutil.Process) -> set[str]:
    try:
        return {f"{name}={value}" for name, value in process.environ().items()}
    except psutil.Error:
        return set()


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
