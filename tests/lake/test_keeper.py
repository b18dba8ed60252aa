"""The keeper, with shell scripts for daemons."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import psutil
import pytest

from pytest_datalake.errors import EngineError
from pytest_datalake.lake import launch, ports
from pytest_datalake.lake.daemons.api import Account, Process
from pytest_datalake.lake.keeper import answers
from pytest_datalake.lake.running import end_leftovers, stop_keeper
from pytest_datalake.lake.state import StateDirectory, read_json, write_json

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

Keep: TypeAlias = "Callable[..., tuple[int, dict[str, int]]]"

MACHINE = launch.Machine(drops=False, mounts=False, renames=False, resolves=True)
ACCOUNT = Account(uid=os.geteuid(), gid=os.getegid(), drop=False)

SERVER = """
import contextlib, os, select, signal, socket, sys
port, pid_file, shape = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if "stubborn" in shape:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "forks" in shape and os.fork():
    os._exit(0)
if "forks" in shape:
    os.setsid()
with open(pid_file, "w") as stream:  # before it answers: the test reads it as soon as it does
    stream.write(str(os.getpid()))
if "late" in shape:  # answers when its neighbour has ended
    brief = pid_file.replace("late.pid", "brief.pid")
    while not (os.path.exists(brief) and open(brief).read()):
        pass
    with contextlib.suppress(ProcessLookupError):
        select.select([os.pidfd_open(int(open(brief).read()))], [], [])
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port))
if "child" in shape:  # it outlives its parent, and holds the port
    os.fork()
server.listen()
while True:
    server.accept()[0].close()
    if "brief" in shape:
        sys.exit("cannot go on")
"""


def family(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children())]


def eventually(probe: Callable[[], Any]) -> Any:  # noqa: ANN401  # what was found
    pause, deadline = threading.Event(), time.monotonic() + 20
    while not (found := probe()):
        assert time.monotonic() < deadline, "it did not come to that"
        pause.wait(0.02)
    return found


def started_after(state: StateDirectory, name: str, before: list[int]) -> int:
    """The process that serves now, as the record has it, when it answers."""

    def answering() -> int:
        pid = int(read_json(state.record)["processes"][name]["pid"])
        (plan,) = (one for one in read_json(state.plan)["processes"] if one["name"] == name)
        return pid if pid not in before and all(answers(*door) for door in plan["ready"]) else 0

    return int(eventually(answering))


def said_by_keeper(state: StateDirectory, words: str) -> str:
    return str(eventually(lambda: words in (text := state.keeper_log.read_text()) and text))


@pytest.fixture
def state(state_dir: Path) -> Iterator[StateDirectory]:
    directory = StateDirectory(state_dir)
    directory.prepare()
    yield directory
    if directory.is_alive():
        stop_keeper(int(read_json(directory.record)["pid"]))
    end_leftovers(directory)


@pytest.fixture
def keep(state: StateDirectory) -> Iterator[Callable[..., tuple[int, dict[str, int]]]]:
    """Starts a bound keeper of such servers; gives its pid and theirs."""
    claims = ports.claim(3)
    started: list[subprocess.Popen[bytes]] = []

    def start(**shapes: str) -> tuple[int, dict[str, int]]:
        (state.path / "server.py").write_text(SERVER)
        entries: list[dict[str, Any]] = []
        for (name, shape), claim in zip(shapes.items(), claims, strict=False):
            process = Process(
                name=name,
                command=(
                    ("sh", "-c", "echo this configuration is wrong; exit 7")
                    if shape == "broken"
                    else (
                        sys.executable,
                        f"{state.path}/server.py",
                        f"{claim.port}",
                        f"{state.path}/{name}.pid",
                        shape,
                    )
                ),
                environment={"PATH": os.defpath},
                ready=(("127.0.0.1", claim.port),),
                log=state.path / f"{name}.log",
                config=state.path / "server.py",
            )
            entries.append(launch.process_plan(name, process, ACCOUNT, state))
        write_json(state.plan, {"bundle": "", "hostname": "", "budget": 20, "processes": entries})
        keeper = launch.keep(state, claims, MACHINE, detached=False, on_ready=lambda _: None)
        assert keeper is not None
        started.append(keeper)
        return keeper.pid, {name: int((state.path / f"{name}.pid").read_text()) for name in shapes}

    yield start
    for keeper in started:
        keeper.stdin.close()  # type: ignore[union-attr]
        keeper.wait()
    for claim in claims:
        claim.release()


def test_every_descendant_is_stopped(keep: Keep, watch: Callable[..., Any]) -> None:
    keeper, daemons = keep(plain="", away="forks", tough="stubborn forks")
    everything = watch(keeper, *daemons.values())
    os.kill(keeper, signal.SIGTERM)
    assert not everything.running_after(10)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_daemon_that_is_killed_is_noted_and_not_started_again(
    keep: Keep, state: StateDirectory, watch: Callable[..., Any], number: signal.Signals
) -> None:
    keeper, daemons = keep(one="", two="")
    victim, watched = watch(daemons["one"]), watch(keeper)
    os.kill(daemons["one"], number)
    assert not victim.running_after(5)
    os.kill(keeper, signal.SIGTERM)
    assert not watched.running_after(10)
    processes = read_json(state.record)["processes"]
    assert processes["one"] == {"pid": daemons["one"], "ended": f"killed by {number.name}", "crashes": []}
    assert processes["two"]["ended"] == "killed by SIGTERM"


def test_a_daemon_that_crashes_is_started_again_three_times(
    keep: Keep, state: StateDirectory, watch: Callable[..., Any]
) -> None:
    keeper, daemons = keep(one="with a child", two="")
    before: list[int] = []
    for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE):
        everything = watch(*family(daemons["one"]))
        os.kill(daemons["one"], number)
        assert not everything.running_after(5)
        before.append(daemons["one"])
        if len(before) < 4:
            daemons["one"] = started_after(state, "one", before)
    everything = watch(keeper, daemons["two"])
    assert "one crashed 4 times and is not started again" in said_by_keeper(state, "4 times")
    eventually(lambda: read_json(state.record)["processes"]["one"]["ended"])  # written after it was said
    one, two = (read_json(state.record)["processes"][name] for name in ("one", "two"))
    assert one["pid"] == before[-1]
    assert one["ended"] == "killed by SIGFPE"
    assert [crash["how"] for crash in one["crashes"]] == [
        "killed by SIGSEGV",
        "killed by SIGABRT",
        "killed by SIGBUS",
        "killed by SIGFPE",
    ]
    assert two == {"pid": daemons["two"], "ended": "", "crashes": []}
    os.kill(keeper, signal.SIGTERM)
    assert not everything.running_after(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_daemon_that_was_started_again_ends_with_its_keeper(
    keep: Keep, state: StateDirectory, watch: Callable[..., Any], number: signal.Signals
) -> None:
    keeper, daemons = keep(one="")
    os.kill(daemons["one"], signal.SIGSEGV)
    everything = watch(keeper, started_after(state, "one", [daemons["one"]]))
    os.kill(keeper, number)
    assert not everything.running_after(5)


def test_daemons_do_not_outlive_a_killed_keeper(keep: Keep, watch: Callable[..., Any]) -> None:
    keeper, daemons = keep(one="", two="")
    everything = watch(*daemons.values())
    os.kill(keeper, signal.SIGKILL)
    assert not everything.running_after(5)


def test_leftovers_of_a_killed_keeper_are_found(
    keep: Keep, state: StateDirectory, watch: Callable[..., Any]
) -> None:
    keeper, daemons = keep(tough="stubborn forks")
    everything = watch(keeper, *daemons.values())
    os.kill(keeper, signal.SIGKILL)
    assert everything.running_after(1) == set(daemons.values())
    end_leftovers(state)
    assert not everything.running_after(5)


def test_a_daemon_that_does_not_start_says_why(keep: Keep, state: StateDirectory) -> None:
    with pytest.raises(EngineError) as caught:
        keep(good="", bad="broken")
    assert "bad did not start: exit status 7" in str(caught.value)
    assert "this configuration is wrong" in str(caught.value)
    assert not state.is_alive()


def test_a_daemon_that_answers_and_dies_before_all_are_up_says_why(keep: Keep) -> None:
    with pytest.raises(EngineError, match="brief did not start: exit status 1") as caught:
        keep(brief="brief", late="late")
    assert "cannot go on" in str(caught.value)


def test_claims_last_as_long_as_the_keeper(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(one="")
    taken = ports.candidates()[0]
    monkeypatch.setattr(ports, "candidates", lambda: [taken])
    (claim,) = ports.claim(1)
    with pytest.raises(EngineError, match="free TCP ports"):
        ports.claim(1)
    claim.release()
