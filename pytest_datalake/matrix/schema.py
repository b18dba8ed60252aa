"""Write the JSON schema that editors read, and the key tables of the reference page.

``python -m pytest_datalake.matrix.schema`` renews both below the current directory.
"""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pytest_datalake.matrix import document
from pytest_datalake.matrix.shape import adapter
from pytest_datalake.matrix.technologies import CAPABILITIES, DEFAULT_PORT, DOORS, LEGAL_AUTHS, MINIMUM

SCHEMA_FILE = Path("docs/reference/site_matrix.schema.json")
PAGE_FILE = Path("docs/reference/matrix.md")

_BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_SECTIONS: tuple[tuple[str, type], ...] = (
    ("Top level", document.MatrixDocument),
    ("`experiments.NAME`", document.ExperimentEntry),
    ("`services.NAME`", document.ServiceEntry),
    ("`sites.SITE`", document.SiteEntry),
    ("`sites.SITE.rses.RSE`", document.RseEntry),
    ("`limits` of an RSE", document.LimitsEntry),
    ("An item of `endpoints`", document.EndpointEntry),
    ("`tpc` of an endpoint", document.TpcEntry),
    ("`auth`", document.AuthEntry),
    ("`auth.identities.NAME`", document.IdentityEntry),
    ("`auth.forge`", document.ForgeEntry),
    ("An item of `known_issues`", document.KnownIssueEntry),
    ("An item of `downtimes`", document.DowntimeEntry),
)


def json_schema() -> str:
    """The JSON schema (draft 2020-12) of a matrix file, short forms included; ends in a newline."""
    schema = adapter().json_schema()
    for path, short in document.SHORT_FORMS.items():
        name, _, inner = path.partition(".")
        holder, key = (
            (schema["properties"][name], "additionalProperties") if inner else (schema["properties"], name)
        )
        long = holder[key]
        outside = {word: long.pop(word) for word in ("description", "title", "default") if word in long}
        holder[key] = {**outside, "anyOf": [short, long]}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Site matrix", **schema}
    return json.dumps(schema, indent=2) + "\n"


def renew_page(text: str) -> str:
    """The reference page with its generated blocks made anew; all else is left as it is."""
    blocks = {
        "keys": _key_tables,
        "capabilities": _capabilities,
        "technologies": _technologies,
        "protocols": _protocols,
    }
    return _BLOCK.sub(lambda block: f"{block[1]}{blocks[block['name']]()}{block[3]}", text)


def _key_tables() -> str:
    parts = []
    for title, shape in _SECTIONS:
        parts.append(
            f"\n### {title}\n\n{shape.__doc__}\n\n| key | value | default | meaning |\n|---|---|---|---|\n"
        )
        hints = get_type_hints(shape)
        parts += [
            f"| `{one.name}` | {_type_words(hints[one.name])} | {_default_words(one)} "
            f"| {one.metadata['description']} |\n"
            for one in fields(shape)
        ]
    return "".join(parts) + "\n"


def _capabilities() -> str:
    rows = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in CAPABILITIES.items())
    return f"\n| capability | the RSE promises |\n|---|---|\n{rows}\n"


def _technologies() -> str:
    rows = "".join(
        f"| `{name}` | {_code(sorted(DOORS[name]))} | {_code(filter(least.__contains__, CAPABILITIES))} |\n"
        for name, least in MINIMUM.items()
    )
    return f"\n| technology | protocols | declares at least |\n|---|---|---|\n{rows}\n"


def _protocols() -> str:
    rows = "".join(
        f"| `{name}` | {port} | {_code(sorted(LEGAL_AUTHS[name]))} |\n"
        for name, port in DEFAULT_PORT.items()
        if name != "memory"
    )
    return f"\n| protocol | default port | auth values |\n|---|---|---|\n{rows}\n"


def _code(words: Any) -> str:  # noqa: ANN401  # any iterable of words
    return ", ".join(f"`{word}`" for word in words)


def _type_words(shape: Any) -> str:  # noqa: ANN401  # types of typing have no common type
    origin, arguments = get_origin(shape), [one for one in get_args(shape) if one is not NoneType]
    if origin is Literal:
        words = _code(arguments)
    elif NoneType in get_args(shape):
        words = _type_words(arguments[0])
    elif origin is tuple:
        words = f"list of {_type_words(arguments[0])}"
    elif origin is dict:
        words = "mapping of names" if is_dataclass(arguments[1]) else "mapping of names to text"
    else:
        words = {str: "text", int: "number", bool: "true or false"}.get(shape, "mapping")
    return words


def _default_words(one: Field[Any]) -> str:
    if one.default is MISSING and one.default_factory is MISSING:
        return "required"
    if one.default in (None, "", (), MISSING):
        return ""
    return f"`{json.dumps(one.default).strip(chr(34))}`"


def main() -> None:
    """Write both files."""
    SCHEMA_FILE.write_text(json_schema(), encoding="utf-8")
    PAGE_FILE.write_text(renew_page(PAGE_FILE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
