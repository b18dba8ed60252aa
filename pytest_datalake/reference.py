"""Writes what ``docs/reference`` says about options, markers, fixtures, hooks and commands, from the code.

``python -m pytest_datalake.reference`` renews the pages below the current directory; a test checks them.
"""

from __future__ import annotations

import inspect
import io
import os
import re
from contextlib import redirect_stdout, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

from pytest_datalake import cli, hooks, plugin
from pytest_datalake.capabilities.access import Storage
from pytest_datalake.capabilities.content import Content
from pytest_datalake.capabilities.enrol import Newcomer
from pytest_datalake.capabilities.replicate import RegisteredFile
from pytest_datalake.capabilities.tools import ToolRun, Tools
from pytest_datalake.capabilities.transfer import Arrived, StoredFile
from pytest_datalake.clients.broker import Broker, Inbox
from pytest_datalake.clients.iam import Answer, Iam
from pytest_datalake.clients.rucio import File, Replica, Rucio, Rule
from pytest_datalake.conformance.copies import COPIES
from pytest_datalake.conformance.coverage import SUITES
from pytest_datalake.conformance.table import CASES, TABLES
from pytest_datalake.drivers.api import FileStat
from pytest_datalake.fixtures.evidence import Evidence
from pytest_datalake.fixtures.handover import RunningLake
from pytest_datalake.fixtures.iam import IamOfLake
from pytest_datalake.fixtures.identities import Identities
from pytest_datalake.fixtures.rules import MARKERS
from pytest_datalake.fixtures.storage import LocalFiles
from pytest_datalake.matrix.model import Cell, Endpoint, Identity, Link
from pytest_datalake.options import add_options

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

PAGES = tuple(
    Path("docs/reference") / name
    for name in ("options.md", "markers-and-fixtures.md", "cli.md", "conformance.md")
)

_BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_OBJECTS: tuple[type, ...] = (
    Cell,
    Link,
    Endpoint,
    Identity,
    Identities,
    Storage,
    StoredFile,
    Arrived,
    LocalFiles,
    Content,
    FileStat,
    Evidence,
    Tools,
    ToolRun,
    Broker,
    Inbox,
    Rucio,
    Rule,
    Replica,
    File,
    RegisteredFile,
    IamOfLake,
    Iam,
    Answer,
    Newcomer,
    RunningLake,
)


def renew(text: str) -> str:
    """The page with its generated blocks made anew; all else is left as it is."""
    blocks: dict[str, Callable[[], str]] = {
        "options": lambda: _options().options(),
        "settings": lambda: _options().settings(),
        "markers": _markers,
        "fixtures": _fixtures,
        "objects": _objects,
        "hooks": _hooks,
        "commands": _commands,
        "cases": _cases,
        "covered": _covered,
    }
    return _BLOCK.sub(lambda block: f"{block[1]}\n{blocks[block['name']]()}\n{block[3]}", text)


class _Recorder:
    """Stands in for pytest's parser and keeps what it is told."""

    def __init__(self) -> None:
        self._options: list[tuple[str, dict[str, Any]]] = []
        self._settings: list[tuple[str, str, Any]] = []

    def getgroup(self, _name: str, _description: str) -> _Recorder:
        return self

    def addoption(self, *names: str, **attributes: Any) -> None:  # noqa: ANN401  # argparse's
        self._options.append((names[0], attributes))

    def addini(
        self,
        name: str,
        text: str,
        *,
        type: str = "string",  # noqa: A002, ARG002  # pytest's own name
        default: Any = None,  # noqa: ANN401  # pytest's
    ) -> None:
        self._settings.append((name, text, default))

    def options(self) -> str:
        return _table(
            ("option", "meaning"), [(f"`{_usage(*one)}`", _sentence(one[1]["help"])) for one in self._options]
        )

    def settings(self) -> str:
        rows = [
            (f"`{name}`", f"`{default}`" if default else "", _sentence(text))
            for name, text, default in self._settings
        ]
        return _table(("setting", "default", "meaning"), rows)


def _options() -> _Recorder:
    recorder = _Recorder()
    add_options(cast("pytest.Parser", recorder))
    return recorder


def _usage(name: str, attributes: dict[str, Any]) -> str:
    if attributes.get("action") == "store_true":
        return name
    return f"{name} {'|'.join(attributes['choices']) if 'choices' in attributes else attributes['metavar']}"


def _markers() -> str:
    rows = [
        (f"`{signature}`", _sentence(text)) for signature, text in (one.split(": ", 1) for one in MARKERS)
    ]
    return _table(("marker", "meaning"), rows)


def _fixtures() -> str:
    parts = []
    for name in sorted(plugin.__all__):
        function = inspect.unwrap(getattr(plugin, name))
        scope = re.search(r'fixture\(scope="(\w+)"', inspect.getsource(function))
        gives = inspect.signature(function).return_annotation
        known = function.__globals__.get(gives)
        notes = [f"scope: {scope[1]}"] if scope else []
        if known is None or "__call__" not in vars(known):
            gives = re.sub(r"^Iterator\[(.*)\]$", r"\1", gives)
            parts.append(_entry(name, ", ".join([f"gives `{gives}`", *notes]), _text(function)))
        else:
            notes = [f"`{name}{_signature(known.__call__)}`", *notes]
            parts.append(_entry(name, ", ".join(notes), f"{_text(function)}\n\n{_text(known.__call__)}"))
    return "\n".join(parts)


def _entry(name: str, notes: str, text: str) -> str:
    return f"### {name}\n\n{notes}\n\n{text}\n"


def _objects() -> str:
    parts = []
    for described in _OBJECTS:
        meanings = _sections(inspect.getdoc(described) or "", "Attributes:")
        rows = []
        if is_dataclass(described):
            rows = [(f"`{one.name}`", meanings.get(one.name, f"`{one.type}`")) for one in fields(described)]
        for name, member in vars(described).items():
            if isinstance(member, property):
                rows.append((f"`{name}`", _first_paragraph(member.fget)))
            elif inspect.isfunction(member) and not name.startswith("_"):
                rows.append((f"`{name}{_signature(member)}`", _first_paragraph(member)))
        text = _first_paragraph(described)
        parts.append(f"### {described.__name__}\n\n{text}\n\n" + _table(("member", "meaning"), rows))
    return "\n".join(parts)


def _hooks() -> str:
    found = [
        member
        for name, member in vars(hooks).items()
        if name.startswith("pytest_") and inspect.isfunction(member)
    ]
    return "\n".join(
        _entry(hook.__name__, f"`{hook.__name__}{_signature(hook)}`", _text(hook)) for hook in found
    )


def _commands() -> str:
    whole = _help()
    names = re.findall(r"^    (\w+) ", whole, re.MULTILINE)
    return "\n".join(f"```text\n{text}```\n" for text in [whole, *(_help(name) for name in names)])


def _cases() -> str:
    parts = [f"{len(CASES) + len(COPIES)} cases.\n"]
    for chapter, cases in TABLES.items():
        rows = [
            (
                f"`{case.id}`",
                case.level,
                case.says,
                case.clause,
                f"`{case.auth}`",
                ", ".join((*case.protocols, *(f"({name})" for name in case.only_in_full))),
                ", ".join((*["forged"][: case.forged], *(f"at {name}: apart" for name in case.kills))),
            )
            for case in cases
        ]
        header = ("requirement", "level", "what is asked", "by", "auth", "over", "")
        parts.append(f"### {chapter}: {len(cases)}\n\n" + _table(header, rows))
    copies = [
        (f"`{case.id}`", case.level, case.says, case.clause, "forged" if case.forged else "")
        for case in COPIES
    ]
    columns = ("requirement", "level", "what is asked", "by", "")
    parts.append(f"### Copies: {len(COPIES)}\n\n" + _table(columns, copies))
    return "\n".join(parts)


def _covered() -> str:
    parts = []
    for suite, cases in SUITES.items():
        rows = [(title, ", ".join(f"`{name}`" for name in ours)) for title, ours in cases.items()]
        parts.append(f"### {suite}: {len(cases)}\n\n" + _table(("there", "here"), rows))
    return "\n".join(parts)


def _help(*command: str) -> str:
    written = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": "100"}), redirect_stdout(written), suppress(SystemExit):
        cli.main([*command, "--help"])
    return written.getvalue()


class _Annotation:
    """An annotation that shows as it is written."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _signature(function: Callable[..., Any]) -> str:
    """Without ``self``."""
    signature = inspect.signature(function)
    parameters = [
        one.replace(annotation=_Annotation(one.annotation))
        for name, one in signature.parameters.items()
        if name != "self"
    ]
    gives = _Annotation(signature.return_annotation)
    return str(signature.replace(parameters=parameters, return_annotation=gives))


def _text(documented: object) -> str:
    """A docstring as markdown: sections become lists."""
    text = (inspect.getdoc(documented) or "").replace("``", "`")
    lines = []
    for line in text.splitlines():
        if re.fullmatch(r"(Args|Raises|Attributes):", line):
            lines += [line.replace("Args", "Arguments"), ""]
        elif entry := re.match(r"    (\w+): (.*)", line):
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        else:
            lines.append(re.sub(r"^ {6,}", "  ", line))
    return "\n".join(lines)


def _first_paragraph(documented: object) -> str:
    text = (inspect.getdoc(documented) or "").replace("``", "`").partition("\n\n")[0]
    return " ".join(text.split())


def _sections(text: str, title: str) -> dict[str, str]:
    """The entries of one section of a docstring."""
    meanings: dict[str, str] = {}
    name = ""
    for line in text.partition(f"{title}\n")[2].partition("\n\n")[0].splitlines():
        if entry := re.match(r"    (\w+(?:, \w+)*): (.*)", line):
            name = entry[1]
            meanings[name] = _sentence(entry[2].replace("``", "`"))
        elif name:
            meanings[name] = f"{meanings[name].removesuffix('.')} {line.strip().removesuffix('.')}."
    return meanings


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}".removesuffix(".") + "."


def _table(header: tuple[str, ...], rows: list[Any]) -> str:
    """A markdown table; bars inside code need a backslash even there."""
    lines = [header, ("---",) * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Bring the pages up to date."""
    for page in PAGES:
        page.write_text(renew(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
