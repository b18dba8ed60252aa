"""What the documents show is loaded, compiled, parsed, or run."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self, cast

import pytest
import yaml

from pytest_datalake import cli
from pytest_datalake.lake.daemons import api
from pytest_datalake.matrix.load import parse
from pytest_datalake.options import add_options

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

NOT_OURS = {"."}

EVERYTHING = "access, list, mkdir, rename, ranged-read, adler32, md5, authorisation, transfer"

RSE = """\
  {site}:
    rses:
      {site}-A:
        technology: memory
        qos: A
        supports: [{supports}]
        endpoints:
          - protocol: memory
            host: {host}
            auth: [x509-voms]
            tpc: {{active: [pull, push], passive: [pull, push]}}
"""

LAKE = """\
version: 1
vo: escape
experiments: [ska, lofar]
qos_classes: [A]
auth:
  identities:
    ska: {experiment: ska, proxy: ska.pem}
    lofar: {experiment: lofar, proxy: lofar.pem}
sites:
""" + "".join(RSE.format(site=site, host=site.lower(), supports=EVERYTHING) for site in ("COMO", "GARDA"))


@dataclass(frozen=True)
class Example:
    """One fenced block. ``place`` is ``file:line``."""

    place: str
    text: str


def examples(language: str) -> list[Example]:
    found = []
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
        text = path.read_text(encoding="utf-8")
        for fence in _FENCE.finditer(text):
            if fence[1] == language:
                number = text.count("\n", 0, fence.start()) + 1
                found.append(Example(f"{path.relative_to(ROOT)}:{number}", fence[2]))
    return found


PYTHON = examples("python")


def each(found: list[Example]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", found, ids=[one.place for one in found])


@each(examples("yaml"))
def test_yaml_loads(example: Example) -> None:
    text = example.text
    if text.startswith("known_issues"):
        shown = yaml.safe_load(text)["known_issues"]
        lake = LAKE.replace("memory\n        qos", "xrootd\n        qos").replace(
            "[x509-voms]", "[token-scope]"
        )
        assert len(parse(lake + text, "lake.yaml").known_issues) == len(shown)
    elif text.startswith("downtimes"):
        lake = LAKE.replace("protocol: memory", "protocol: root") + text
        assert len(parse(lake, "lake.yaml").downtimes) == len(yaml.safe_load(text)["downtimes"])
    elif text.startswith("version"):
        assert parse(text, "lake.yaml").endpoints
    else:
        yaml.safe_load(text)


@each(PYTHON)
def test_python_compiles(example: Example) -> None:
    compile(example.text, example.place, "exec")


def test_tests_run(tmp_path: Path) -> None:
    suites = tmp_path / "suites"
    suites.mkdir()
    names = set()
    for number, example in enumerate(PYTHON):
        if "def test_" in example.text:
            (suites / f"test_{number}.py").write_text(example.text)
            names |= {(f"test_{number}.py", name) for name in re.findall(r"def (test_\w+)", example.text)}
    (tmp_path / "site_matrix.yaml").write_text(LAKE)
    (tmp_path / "pytest.toml").write_text('[pytest]\nstrict = true\nfilterwarnings = ["error"]\n')
    for name in ("ska", "lofar"):
        (tmp_path / f"{name}.pem").write_text(f"experiment:{name}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "suites", "-q", "--state-dir", "state"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in (tmp_path / "reports/results.jsonl").read_text().splitlines()]
    passed = {
        (row["nodeid"].partition("::")[0].rpartition("/")[2], row["test"])
        for row in rows
        if row["type"] == "test" and row["outcome"] == "passed"
    }
    assert passed == names


def test_the_test_in_the_readme_is_five_lines() -> None:
    example = next(one for one in PYTHON if one.place.startswith("README"))
    code = [line for line in example.text.splitlines() if line and not line.startswith("import ")]
    assert len(code) <= 5


def test_the_daemon_in_the_how_to_is_a_daemon() -> None:
    example = next(one for one in PYTHON if "def prepare(" in one.text)
    offered: dict[str, Any] = {"__name__": "mydav"}
    exec(compile(example.text, example.place, "exec"), offered)  # noqa: S102  # our own document
    needed = [name for name in vars(api.Daemon) if not name.startswith("_")]
    assert {*needed, *api.Daemon.__annotations__} <= set(offered)


class Options(argparse.ArgumentParser):
    """Takes our options as pytest's parser would, and those of others that the documents use."""

    def __init__(self) -> None:
        super().__init__(allow_abbrev=False)
        add_options(cast("pytest.Parser", self))
        self.add_argument("-n", type=int)
        self.add_argument("-q", action="store_true")
        self.add_argument("--collect-only", action="store_true")
        self.add_argument("paths", nargs="*")

    def getgroup(self, _name: str, _description: str) -> Self:
        return self

    def addoption(self, *names: str, **attributes: Any) -> None:  # noqa: ANN401  # argparse's
        self.add_argument(*names, **attributes)

    def addini(self, *_names: str, **_attributes: object) -> None:
        pass

    def error(self, message: str) -> NoReturn:
        raise AssertionError(message)


def commands(text: str) -> list[list[str]]:
    """The words of every command of a console session; of one that holds another, the inner one."""
    found: list[list[str]] = []
    for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
        inner = re.search(r"\$\((.*)\)", line)
        found += [shlex.split(command) for command in (inner[1] if inner else line).split(" | ")]
    return found


@each(examples("console"))
def test_commands_are_understood(example: Example, capsys: pytest.CaptureFixture[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    found = commands(example.text)
    assert found
    for program, *arguments in found:
        match program.rpartition("/")[2]:
            case "pytest":
                chosen = Options().parse_intermixed_args(arguments)
                assert all((ROOT / path).exists() for path in chosen.paths if "tutorial" not in path)
            case "datalake":
                with pytest.raises(SystemExit) as ended:
                    cli.main([*arguments, "--help"])
                assert ended.value.code == 0, capsys.readouterr().err
                options = {word for word in arguments if word.startswith("--")}
                told = capsys.readouterr().out
                assert all(option in told for option in options)
            case "make":
                assert all(re.search(rf"^{target}:.*## ", makefile, re.MULTILINE) for target in arguments)
            case "python":
                assert arguments[0] in {"-m", "-c"}
                module = arguments[1].replace(".", "/")
                assert arguments[0] == "-c" or (ROOT / f"{module}.py").exists() or (ROOT / module).is_dir()
            case _:
                assert program in NOT_OURS, f"{program} is neither ours nor a well-known tool"
