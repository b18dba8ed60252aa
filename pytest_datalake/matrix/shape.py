"""Plain data against the shape of a matrix file: what is wrong, in words for people."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from pytest_datalake.matrix.document import NAME, VO, MatrixDocument
from pytest_datalake.matrix.words import did_you_mean, listed, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

    from pytest_datalake.matrix.yaml_nodes import Path

_PATTERNS = {
    NAME: "must be a name of letters, digits, '-' and '_'",
    VO: "must be a name of letters, digits, '-', '_' and '.'",
    r"^/\S+$": "must begin with '/' and hold no blanks",
    r"^(/[^/\s]+)+$": "must begin with '/', hold no blanks and not end in '/'",
    r"^(https?://[^@\s]+/)?$": "must be an http(s) address that ends in '/' and holds no user or password",
    r"^[a-z][a-z0-9+]*://[^@\s]+$": "must be an address (https://...) without user or password",
}

_KINDS = {
    "string_type": "must be text; put it in quotes",
    "int_type": "must be a whole number without quotes",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping (key: value)",
    "dataclass_type": "must be a mapping (key: value)",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "dataclass_exact_type": "must be a mapping (key: value)",
}


class Complain(Protocol):
    """Takes what is wrong at a path of the document."""

    def __call__(self, path: Path, message: str, *, key: bool = False) -> None:
        """``key``: the key is what is wrong, not its value."""


@cache
def adapter() -> TypeAdapter[MatrixDocument]:
    """The validator of the shape, built once."""
    return TypeAdapter(MatrixDocument)


def expand_short_forms(data: dict[str, Any], complain: Complain) -> None:
    """Write out, in place, the short forms that ``document.SHORT_FORMS`` lists."""
    for section, nothing in (("experiments", {}), ("qos_classes", "")):
        entries = data.get(section)
        if isinstance(entries, list):
            data[section] = _names_as_keys(entries, section, nothing, complain)
        elif isinstance(entries, dict):
            data[section] = {name: nothing if entry is None else entry for name, entry in entries.items()}
    services = data.get("services")
    if isinstance(services, dict):
        data["services"] = {
            name: {"url": entry} if isinstance(entry, str) else entry for name, entry in services.items()
        }


def _names_as_keys(names: list[Any], section: str, nothing: object, complain: Complain) -> dict[str, object]:
    entries: dict[str, object] = {}
    for index, name in enumerate(names):
        if not isinstance(name, str):
            complain((section, index), _KINDS["string_type"])
        elif name in entries:
            complain((section, index), f"'{name}' stands in this list already")
        else:
            entries[name] = nothing
    return entries


def read(data: dict[str, Any], complain: Complain) -> tuple[MatrixDocument | None, frozenset[Path]]:
    """Plain data as a document, with whatever does not fit replaced by something that does.

    Replacing lets the checks that come later find the rest of the mistakes in the same run.

    Returns:
        The document, and the paths at which it is not what the file says; no document where the data is
        beyond repair.
    """
    doubtful: set[Path] = set()
    for _ in range(3):
        try:
            return adapter().validate_json(json.dumps(data), strict=True), frozenset(doubtful)
        except ValidationError as error:
            details = error.errors(include_url=False)
        details = [detail for detail in details if not _is_echo(detail)]
        misspelt = {meant for detail in details if (meant := _meant(detail))}
        for detail in details:
            path: Path = detail["loc"]
            if detail["type"] == "unexpected_keyword_argument":
                hint = did_you_mean(str(path[-1]), _keys(path[:-1]))
                complain(path, f"unknown key '{path[-1]}'{hint}", key=True)
                _parent(data, path).pop(path[-1], None)
                continue
            if path not in misspelt and not is_under(path, doubtful):
                complain(path, _message(detail))
            doubtful.add(path)
            _parent(data, path)[path[-1]] = _placeholder(_type_at(path), _pattern_at(path))
    return None, frozenset(doubtful)


def is_under(path: Path, others: Iterable[Path]) -> bool:
    """Whether one of the other paths leads to a path or to something above it."""
    return any(path[: len(other)] == other for other in others)


def _is_echo(detail: ErrorDetails) -> bool:
    """Items that are wrong do not count for pydantic: a list of these is "too short" besides."""
    return detail["type"] == "too_short" and bool(detail["input"])


def _meant(detail: ErrorDetails) -> Path:
    """The path that an unknown key was probably meant to be."""
    path: Path = detail["loc"]
    if detail["type"] != "unexpected_keyword_argument":
        return ()
    meant = nearest(str(path[-1]), _keys(path[:-1]))
    return (*path[:-1], meant) if meant else ()


def _message(detail: ErrorDetails) -> str:
    """What is wrong, never with the value itself, but for words out of a fixed list: it could be a secret."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            message = f"the key '{detail['loc'][-1]}' is missing"
        case "literal_error":
            message = _not_in_list(detail["input"], [str(word) for word in get_args(_type_at(detail["loc"]))])
        case "string_pattern_mismatch":
            message = _PATTERNS[context["pattern"]]
        case "greater_than_equal":
            message = f"must be {context['ge']} or more"
        case "less_than_equal":
            message = f"must be {context['le']} or less"
        case kind:
            message = _KINDS.get(kind, detail["msg"])
    return message


def _not_in_list(word: object, known: list[str]) -> str:
    if len(known) == 1:
        return f"must be {known[0]}"
    if isinstance(word, str):
        return f"'{word}' is not one of {listed(known)}{did_you_mean(word, known)}"
    return f"must be one of {listed(known)}"


def _parent(data: dict[str, Any], path: Path) -> Any:  # noqa: ANN401  # a list or a mapping
    parent: Any = data
    for step in path[:-1]:
        parent = parent[step]
    return parent


def _keys(path: Path) -> list[str]:
    shape = _type_at(path)
    return [one.name for one in fields(shape)] if is_dataclass(shape) else []


@cache
def _hints(shape: type) -> dict[str, Any]:
    return get_type_hints(shape)


def _type_at(path: Iterable[str | int]) -> Any:  # noqa: ANN401  # types of typing have no common type
    """The declared type at a path, without its "or None"."""
    shape: Any = MatrixDocument
    for step in path:
        if is_dataclass(shape):
            shape = _hints(shape)[str(step)]  # type: ignore[arg-type]  # is_dataclass does not tell it is a class
        else:
            shape = get_args(shape)[1 if get_origin(shape) is dict else 0]
        choices = [choice for choice in get_args(shape) if choice is not NoneType]
        if NoneType in get_args(shape):
            shape = choices[0]
    return shape


def _pattern_at(path: Path) -> str:
    shape = _type_at(path[:-1])
    if not is_dataclass(shape):
        return ""
    return next(str(one.metadata.get("pattern", "")) for one in fields(shape) if one.name == path[-1])


def _placeholder(shape: Any, pattern: str = "") -> Any:  # noqa: ANN401  # any type, and a value of it
    """The least value that fits a type."""
    if is_dataclass(shape):
        hints = _hints(shape)  # type: ignore[arg-type]  # is_dataclass does not tell it is a class
        return {
            one.name: _placeholder(hints[one.name], one.metadata.get("pattern", ""))
            for one in fields(shape)
            if one.default is MISSING and one.default_factory is MISSING
        }
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is Literal:
        return arguments[0]
    if origin is dict:
        return {"unknown": _placeholder(arguments[1])}
    if origin is tuple:
        return [_placeholder(arguments[0])]
    if shape is str:
        return next(text for text in ("unknown", "/unknown", "http://unknown/") if re.search(pattern, text))
    return {int: 1, bool: False}[shape]
