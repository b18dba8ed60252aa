"""What the pages have in common: templates that escape everything, a policy that allows nothing else, words.

A page is one file that loads nothing: its style and script stand in it and are allowed by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from pytest_datalake.report.files import file_name
from pytest_datalake.report.over_time import first_day
from pytest_datalake.report.redaction import without_secrets
from pytest_datalake.report.signs import GLYPHS, LETTERS, MEANINGS

if TYPE_CHECKING:
    from collections.abc import Sequence


TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, *, styles: Sequence[str], scripts: Sequence[str] = (), **values: Any) -> str:  # noqa: ANN401  # what a template takes
    """A page as text.

    Args:
        template: its file.
        styles: files that make its style.
        scripts: files that make its script, which runs as one function.
        values: what the template shows; all of it is escaped.
    """
    style = "".join(_text(name) for name in styles)
    parts = "".join(_text(f"script/{name}") for name in scripts)
    script = f'"use strict";\n(() => {{\n{parts}}})();\n' if scripts else ""
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704  # files of this package
            script=Markup(script),  # noqa: S704  # files of this package
            policy=_policy(style, script),
            glyph=GLYPHS,
            letter=LETTERS,
            meaning=MEANINGS,
            **values,
        )
    )


def moment(text: str) -> str:
    """An ISO time for people, such as ``22 November 2026, 02:00 UTC``; other texts stay."""
    time = _time(text)
    return time.strftime("%-d %B %Y, %H:%M %Z") if time else text


def day(text: str) -> str:
    """The day of an ISO time, such as ``22 Nov 2026``; other texts stay."""
    time = _time(text)
    return time.strftime("%-d %b %Y") if time else text


def lasted(started: str, finished: str) -> str:
    """The time between two ISO times; empty where one is none."""
    begin, end = _time(started), _time(finished)
    if begin is None or end is None:
        return ""
    seconds = int((end - begin).total_seconds())
    return f"{seconds // 60} min {seconds % 60:02d} s" if seconds >= 60 else f"{seconds} s"


def percent(share: float | None) -> str:
    """A share of 1 in per cent; 100 % is said of nothing less than all."""
    if share is None:
        return "\N{EN DASH}"
    if share >= 1:
        return "100 %"
    return f"{min(share, 0.999) * 100:.1f} %"


def number(count: int) -> str:
    """A count with its thousands apart."""
    return f"{count:,}"


def capital(sentence: str) -> str:
    """A sentence with a capital letter at its beginning, and all others as they are."""
    return sentence[:1].upper() + sentence[1:]


def several(count: int, thing: str) -> str:
    """``1 test``, ``2 tests``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "moment": moment,
        "day": day,
        "percent": percent,
        "several": several,
        "number": number,
        "file_name": file_name,
        "first_day": first_day,
        "capital": capital,
    }
    return environment


def _shown(value: object) -> object:
    return without_secrets(value) if type(value) is str else value


@cache
def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    allowed = [f"style-src '{_hash(style)}'", f"script-src '{_hash(script)}'" if script else ""]
    rules = ["default-src 'none'", *filter(None, allowed), "base-uri 'none'", "form-action 'none'"]
    return "; ".join(rules)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
