"""A lake as its users meet it, with real XRootD."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_datalake import cli
from pytest_datalake.errors import UsageError
from pytest_datalake.lake import composition, ports
from pytest_datalake.lake.keeper import answers
from pytest_datalake.lake.state import StateDirectory
from pytest_datalake.matrix.load import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.lake.running import Lake
    from pytest_datalake.matrix.model import Matrix

SILENT = list[str]().append


def pids(status: dict[str, Any]) -> list[int]:
    found = {status["keeper"]["pid"], status["services"]["iam"]["pid"]}
    for site in status["sites"].values():
        for rse in site["rses"].values():
            found.update(process["pid"] for process in rse["processes"].values())
    return sorted(found)


def process_of(lake: Lake, rse: str) -> dict[str, Any]:
    """The XRootD of an RSE, as `datalake status` has it."""
    (found,) = lake.status()["sites"][rse.removesuffix("-A")]["rses"][rse]["processes"].values()
    return dict(found)


@pytest.fixture(scope="module")
def two_sites(lake_of: Callable[..., str]) -> Matrix:
    return parse(lake_of("COMO", "GARDA"), "two.yaml")


@pytest.fixture(scope="module")
def lake(directories: Callable[[], Path], two_sites: Matrix) -> Lake:
    return composition.up(two_sites, directories(), detached=True, progress=SILENT)


def test_every_endpoint_answers(lake: Lake) -> None:
    endpoints = lake.matrix.endpoints
    assert [one.id for one in endpoints] == ["COMO-A.davs", "COMO-A.root", "GARDA-A.davs", "GARDA-A.root"]
    assert [one.host for one in endpoints] == ["127.0.0.11", "localhost", "127.0.0.12", "localhost"]
    assert all(answers(one.host, one.port) for one in endpoints)


def test_status_says_what_runs_where(lake: Lake) -> None:
    status = json.loads(json.dumps(lake.status()))
    assert status["phase"] == "ready"
    assert status["issuer_keys"] in {"fetched", "seeded"}
    rse = status["sites"]["COMO"]["rses"]["COMO-A"]
    assert rse["technology"] == "xrootd"
    assert (Path(rse["root"]) / "escape" / "ska").is_dir()
    for endpoint in rse["endpoints"]:
        assert Path(endpoint["log"]).is_file()
        assert Path(endpoint["config"]).is_file()
        assert len(os.sched_getaffinity(endpoint["pid"])) == 1
    assert status["identities"]["ska"]["groups"] == ["/escape/ska", "/escape"]
    assert set(status["identities"]) == {"ska", "lofar", "robot"}


def test_private_files_are_private(lake: Lake) -> None:
    for name in ("key.pem", "proxy.pem", "plain-proxy.pem", "client-secret"):
        assert (lake.state_dir / "identities" / "ska" / name).stat().st_mode & 0o777 == 0o600
    assert (lake.state_dir / "rse" / "COMO-A").stat().st_mode & 0o777 == 0o700
    assert lake.matrix.path
    assert (lake.state_dir / "site_matrix.yaml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("shown", ["proxy", "scope", "group"])
def test_a_group_has_its_own_area_alone(lake: Lake, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    door = lake.matrix.endpoint("COMO-A.davs")
    trust = lake.matrix.trust
    settings = [f"cacert = {trust.ca_file}", "request = PROPFIND", 'header = "Depth: 0"', "silent"]
    if shown == "proxy":
        proxy = lake.matrix.identity("ska").proxy
        settings += [f"cert = {proxy}", f"key = {proxy}"]
    else:
        scope = "storage.read:/ska" if shown == "scope" else "wlcg.groups:/escape/ska"
        arguments = ["token", "ska", "--audience", door.audience, "--scope", scope]
        assert cli.main([*arguments, "--state-dir", str(lake.state_dir)]) == 0
        token = capsys.readouterr().out.strip()
        settings.append(f'header = "Authorization: Bearer {token}"')
    answered = []
    for area in ("ska", "lofar"):
        done = subprocess.run(
            [
                "curl",
                "-q",
                "-K",
                "-",
                "-o",
                os.devnull,
                "-w",
                "%{http_code}",
                door.url(f"/{area}/").replace("davs", "https", 1),
            ],
            input="\n".join(settings),
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            check=True,
        )
        answered.append(done.stdout)
    assert answered == ["207", "403"]
    if shown != "proxy":
        for log in lake.state_dir.rglob("*.log"):
            assert token.split(".")[1] not in log.read_text(errors="replace"), log


def test_nobody_reads_nothing(lake: Lake) -> None:
    door = lake.matrix.endpoint("GARDA-A.root")
    environment = {
        "PATH": os.defpath,
        "X509_CERT_DIR": lake.matrix.trust.ca_directory,
        "X509_USER_PROXY": lake.matrix.identity("robot").proxy,
        "HOME": "/nonexistent",
    }
    done = subprocess.run(
        ["xrdfs", f"root://localhost:{door.port}", "ls", "/escape/ska"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "ermission denied" in done.stderr


def test_a_second_up_adopts(lake: Lake, two_sites: Matrix) -> None:
    again = composition.up(two_sites, lake.state_dir, detached=False, progress=SILENT)
    assert again.adopted
    assert not lake.adopted
    assert again.matrix == lake.matrix
    assert pids(again.status()) == pids(lake.status())


def test_another_matrix_is_refused(lake: Lake, one_site: Matrix) -> None:
    with pytest.raises(UsageError, match="`datalake down` stops it"):
        composition.up(one_site, lake.state_dir, detached=True, progress=SILENT)


def test_a_door_that_crashes_is_up_again(
    lake: Lake, watch: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    door = lake.matrix.endpoint("COMO-A.root")
    crashed = process_of(lake, "COMO-A")["pid"]
    watched = watch(crashed)
    os.kill(crashed, signal.SIGSEGV)
    assert not watched.running_after(10)
    pause, deadline = threading.Event(), time.monotonic() + 30
    while process_of(lake, "COMO-A")["pid"] == crashed or not answers(door.host, door.port):
        assert time.monotonic() < deadline, lake.status()
        pause.wait(0.05)
    found = process_of(lake, "COMO-A")
    assert Path(f"/proc/{found['pid']}/exe").resolve().name == "xrootd"
    assert found["ended"] == ""
    assert [one["how"] for one in found["crashes"]] == ["killed by SIGSEGV"]
    assert process_of(lake, "GARDA-A")["crashes"] == []
    assert [str(one).partition(" at ")[0] for one in lake.crashes()] == ["COMO-A/xrootd crashed"]
    assert "COMO-A/xrootd is started again" in (lake.state_dir / "keeper.log").read_text()
    assert cli.main(["status", "--state-dir", str(lake.state_dir)]) == 0
    assert "crashed 1 time, last at " in capsys.readouterr().out


def test_commands_show_and_stop_it(
    lake: Lake, capsys: pytest.CaptureFixture[str], watch: Callable[..., Any]
) -> None:
    where = ["--state-dir", str(lake.state_dir)]
    assert cli.main(["status", *where]) == 0
    assert lake.matrix.endpoint("GARDA-A.root").url("") in capsys.readouterr().out
    assert cli.main(["status", "--json", *where]) == 0
    everything = watch(*pids(json.loads(capsys.readouterr().out)))
    assert cli.main(["down", *where]) == 0
    assert not everything.running_after(1)
    assert not lake.state_dir.exists()
    assert cli.main(["status", *where]) == 4
    assert "no lake runs" in capsys.readouterr().err
    assert cli.main(["down", *where]) == 0


def test_two_at_once_make_one_lake(one_site: Matrix, state_dir: Path) -> None:
    lakes: list[Lake] = []

    def put_up() -> None:
        lakes.append(composition.up(one_site, state_dir, detached=True, progress=SILENT))

    threads = [threading.Thread(target=put_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.adopted for one in lakes) == [False, True]
    assert pids(lakes[0].status()) == pids(lakes[1].status())
    lakes[0].down()


STARTER = """
import json, signal, sys
from pathlib import Path
from pytest_datalake.lake import composition
from pytest_datalake.matrix.load import parse
matrix = parse(sys.argv[1], "one.yaml")
lake = composition.up(matrix, Path(sys.argv[2]), detached=False, progress=lambda line: None)
print(json.dumps(lake.status()), flush=True)
signal.pause()
"""


def test_a_detached_lake_ends_when_its_starter_is_killed_before_it_is_up(
    state_dir: Path, lake_of: Callable[..., str]
) -> None:
    text = STARTER.replace("detached=False", "detached=True").replace(
        "progress=lambda line: None",
        "progress=lambda line: os.kill(os.getpid(), 9) if 'answers' in line else None",
    )
    starter = [sys.executable, "-c", f"import os\n{text}", lake_of("COMO"), str(state_dir)]
    assert subprocess.run(starter, check=False).returncode == -signal.SIGKILL
    StateDirectory(state_dir).wait_for_end()


def test_control_c_while_a_lake_comes_up_leaves_nothing(
    state_dir: Path, lake_of: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "one.yaml").write_text(lake_of("COMO"))
    command = [sys.executable, "-m", "pytest_datalake.cli", "up", "--matrix", str(tmp_path / "one.yaml")]
    # a shell's background jobs ignore SIGINT, and so would what they start
    started = subprocess.Popen(
        ["env", "--default-signal=INT", *command, "--state-dir", str(state_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert started.stdout is not None
    assert any(b"answers" in line for line in started.stdout)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=60)
    assert (started.returncode, errors) == (2, b"datalake: interrupted\n")
    assert not state_dir.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_bound_lake_ends_with_its_starter(
    state_dir: Path, number: signal.Signals, watch: Callable[..., Any], lake_of: Callable[..., str]
) -> None:
    # a shell's background jobs ignore SIGINT, and so would what they start
    command = ["env", "--default-signal=INT", sys.executable, "-c", STARTER, lake_of("COMO"), str(state_dir)]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with starter:
        assert starter.stdout is not None
        everything = watch(*pids(json.loads(starter.stdout.readline())))
        starter.send_signal(number)
    assert not everything.running_after(8)
    assert not StateDirectory(state_dir).is_alive()


def test_a_taken_port_is_given_up_for_another(
    one_site: Matrix, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = ports.claim
    servers: list[socket.socket] = []

    def claim_and_lose(count: int) -> list[ports.Claim]:
        claims = claim(count)
        if not servers:
            servers.append(socket.create_server(("127.0.0.1", claims[0].port)))
        return claims

    monkeypatch.setattr(ports, "claim", claim_and_lose)
    said: list[str] = []
    lake = composition.up(one_site, state_dir, detached=True, progress=said.append)
    servers[0].close()
    assert any("is taken by another server; trying other ports" in line for line in said)
    assert lake.status()["phase"] == "ready"
    lake.down()


def test_a_stale_directory_is_used_again(
    one_site: Matrix, state_dir: Path, watch: Callable[..., Any]
) -> None:
    dead = composition.up(one_site, state_dir, detached=True, progress=SILENT)
    everything = watch(*pids(dead.status()))
    (state_dir / "left-behind").touch()
    keeper = dead.status()["keeper"]["pid"]
    watched = watch(keeper)
    os.kill(keeper, signal.SIGKILL)
    assert not watched.running_after(5)
    assert composition.adopt(state_dir) is None
    lake = composition.up(one_site, state_dir, detached=True, progress=SILENT)
    assert not everything.running_after(1)
    assert not lake.adopted
    assert not (state_dir / "left-behind").exists()
    lake.down()


def test_a_missing_executable_names_its_package(
    one_site: Matrix, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_datalake.lake.daemons.files.shutil.which", lambda *_, **__: None)
    with pytest.raises(UsageError, match="Debian package xrootd-server"):
        composition.up(one_site, state_dir, detached=True, progress=SILENT)
    assert not state_dir.exists()


def test_a_directory_that_cannot_be_made(one_site: Matrix, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    short = Path(os.path.relpath(tmp_path / "file" / "state"))
    with pytest.raises(UsageError, match="--state-dir"):
        composition.up(one_site, short, detached=True, progress=SILENT)


def test_a_directory_too_long_for_unix_sockets(one_site: Matrix, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too long"):
        composition.up(one_site, tmp_path / ("x" * 70), detached=True, progress=SILENT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's daemons change their account")
def test_a_directory_that_daemons_cannot_reach(one_site: Matrix, state_dir: Path) -> None:
    state_dir.parent.chmod(0o700)
    with pytest.raises(UsageError, match="cannot pass"):
        composition.up(one_site, state_dir, detached=True, progress=SILENT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else(one_site: Matrix, state_dir: Path) -> None:
    state_dir.mkdir()
    os.chown(state_dir, 12345, 12345)
    with pytest.raises(UsageError, match="belongs to uid 12345"):
        composition.up(one_site, state_dir, detached=True, progress=SILENT)


GRIDFTP = """\
  SAIMAA:
    rses:
      SAIMAA-A:
        technology: gridftp
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints: [{protocol: gsiftp, auth: [x509-voms]}]
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces everywhere")
def test_a_lake_comes_up_where_no_name_server_answers(
    state_dir: Path, lake_of: Callable[..., str], tmp_path: Path
) -> None:
    matrix = tmp_path / "two.yaml"
    matrix.write_text(lake_of("COMO") + GRIDFTP)
    up_and_down = (
        'ip link set lo up && datalake="$1 -m pytest_datalake.cli" && where="--matrix $2 --state-dir $3" && '
        "$datalake up $where && $datalake down $where"
    )
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", up_and_down, "sh", sys.executable, str(matrix), str(state_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert "the lake is up: 2 sites" in done.stdout


def test_a_lake_elsewhere_is_not_started(one_site: Matrix, state_dir: Path) -> None:
    with pytest.raises(UsageError, match="lake: embedded"):
        composition.up(replace(one_site, embedded=False), state_dir, detached=True, progress=SILENT)


def test_mistakes_are_told_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["up", "--matrix", str(tmp_path / "none.yaml")]) == 4
    assert "none.yaml" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        cli.main(["up", "--matrx", "none.yaml"])
    assert ended.value.code == 4
    assert "unrecognized arguments: --matrx" in capsys.readouterr().err
