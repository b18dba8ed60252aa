"""A mistake is told in one clear message, without a traceback, and with its exit code."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.lake.pki import Authorities
from tests.plugin.conftest import HEAD, LAKE, UPLOAD, matrix_of, rse

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugin.conftest import Playground, Ran

HEAVY = {"yaml", "pydantic", "jinja2", "cryptography", "joserfc", "hypothesis", "rucio", "gfal2", "psutil"}


def told(ran: Ran, code: int, *words: str) -> None:
    for word in words:
        assert word in ran.text
    assert "Traceback" not in ran.text
    assert "INTERNALERROR" not in ran.text
    assert ran.code == code


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "workers"])
@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ("version: 1\nvo: [", ["matrix.yaml:3:1: this is not YAML"]),
        (
            LAKE.replace("limits:", "limit:"),
            ["matrix.yaml:16:9", "unknown key 'limit'; did you mean 'limits'"],
        ),
        (f"{HEAD}sites: {{}}\n", ["matrix.yaml:9:", "sites"]),
        (HEAD, ["matrix.yaml", "sites"]),
        ("", ["matrix.yaml"]),
    ],
    ids=["broken YAML", "unknown key", "empty sites", "no sites", "empty"],
)
def test_bad_matrix(playground: Playground, matrix: str, words: list[str], workers: list[str]) -> None:
    playground.matrix(matrix)
    playground.suite(UPLOAD)
    told(playground.collect(*workers), 4, *words)


def test_bad_matrix_on_the_command_line(playground: Playground) -> None:
    playground.matrix("version: 1\nvo: [")
    playground.suite(UPLOAD)
    told(playground.run(), 4, "matrix.yaml:3:1: this is not YAML")


def test_missing_matrix(playground: Playground) -> None:
    (playground.path / "matrix.yaml").unlink()
    told(playground.collect(), 4, "matrix.yaml: there is no such matrix file; name one by --matrix FILE")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--site", "ALPA"], ["--site 'ALPA' matches nothing", "did you mean 'ALPHA'?"]),
        (["--rse", "!BETA-X"], ["--rse '!BETA-X' matches nothing", "did you mean 'BETA-B'?"]),
        (["--protocol", "ftp"], ["--protocol 'ftp'", "there is: memory"]),
        (["--auth", "x509-vom"], ["did you mean 'x509-voms'?"]),
        (["--qos", "Z"], ["there is: A, B"]),
        (["--vo", "skaa"], ["did you mean 'ska'?"]),
        (["--capability", "acess"], ["did you mean 'access'?"]),
        (["--site", "X", "--rse", "Y"], ["--site 'X'", "--rse 'Y'"]),
        (["--cells", "some"], ["--cells", "smoke"]),
        (["--budget", "-1"], ["--budget"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_selection_that_matches_nothing_names_the_nearest(
    playground: Playground, arguments: list[str], words: list[str]
) -> None:
    playground.suite(UPLOAD)
    told(playground.collect(*arguments), 4, *words)


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "workers"])
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--report-dir", "file/below: Not a directory"),
        ("--state-dir", "file/below cannot be written: Not a directory"),
    ],
)
def test_directory_that_cannot_be_written(
    playground: Playground, workers: list[str], option: str, said: str
) -> None:
    (playground.path / "file").touch()
    playground.suite(UPLOAD)
    ran = playground.run("suites", *workers, last=[f"{option}=file/below"])
    told(ran, 4, said, option)
    assert "passed" not in ran.text


DEAD = """
  DEAD:
    rses:
      DEAD-A:
        technology: memory
        qos: A
        supports: [access, list, transfer, adler32]
        endpoints:
          - {{protocol: davs, host: 127.0.0.1, port: {port}, prefix: /data, auth: [x509-voms]}}
"""


def test_dead_door_fails_in_bounded_time(playground: Playground, tmp_path: Path) -> None:
    authorities = Authorities.create(tmp_path / "authorities", vo="escape", issuer="https://localhost/")
    (playground.path / "lofar.proxy").write_bytes(authorities.proxy(*authorities.issue_user("lofar")))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    playground.matrix(matrix_of(rse("alpha"), tail=DEAD.format(port=port)))
    playground.suite(UPLOAD)
    started = time.monotonic()
    ran = playground.run("suites", "--budget=5")
    assert time.monotonic() - started < 60
    assert ran.outcomes == {
        "test_upload[ALPHA-A.memory-by-x509-voms]": "passed",
        "test_upload[DEAD-A.davs-by-x509-voms]": "failed",
    }
    assert ran.code == 1


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "X509_CERT_DIR"])
def test_ca_variables_of_the_machine_do_not_matter(
    playground: Playground, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/nonsense")
    playground.suite(UPLOAD)
    assert playground.collect().code == 0


def test_directory_without_matrix_is_left_alone(playground: Playground) -> None:
    (playground.path / "matrix.yaml").unlink()
    (playground.path / "pytest.ini").write_text("[pytest]\n")
    (playground.path / "test_unit.py").write_text("def test_unit():\n    assert True\n")
    with_plugin = playground.plain("test_unit.py")
    without = playground.plain("test_unit.py", "-p", "no:datalake")
    assert with_plugin.code == without.code == 0
    shown = [
        [line.partition(" in ")[0] for line in ran.lines if not line.startswith("plugins:")]
        for ran in (with_plugin, without)
    ]
    assert shown[0] == shown[1]
    assert not (playground.path / "reports").exists()


def test_start_without_matrix_is_light(playground: Playground) -> None:
    (playground.path / "matrix.yaml").unlink()
    (playground.path / "test_unit.py").write_text(
        f"import sys\ndef test_unit():\n    assert not sorted({HEAVY!r} & set(sys.modules))\n"
    )
    ran = playground.plain("test_unit.py", "-p", "no:hypothesispytest", "-p", "no:html")
    assert ran.code == 0, ran.text


def test_workers_stay_light(playground: Playground) -> None:
    (playground.path / "conftest.py").write_text(
        "import os, pathlib, sys\n"
        "def pytest_unconfigure(config):\n"
        "    if hasattr(config, 'workerinput'):\n"
        f"        loaded = sorted({HEAVY | {'pytest_html.plugin'}!r} & set(sys.modules))\n"
        "        pathlib.Path(f'loaded-{os.getpid()}').write_text(' '.join(loaded))\n"
    )
    playground.suite("def test_light(cell): ...")
    ran = playground.run("suites", "-n2")
    assert ran.code == 0, ran.text
    assert [note.read_text() for note in playground.path.glob("loaded-*")] == ["", ""]


def test_matrix_is_looked_for_where_the_suites_are_named(playground: Playground) -> None:
    (playground.path / "matrix.yaml").unlink()
    playground.suite(UPLOAD)
    told(playground.plain("suites"), 4, "site_matrix.yaml: there is no such matrix file")
