"""Requests, answers, and the table that leads from one to the other."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

from pytest_datalake.lake.fts.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_datalake.lake.fts.caller import Caller
    from pytest_datalake.lake.fts.service import Service

_SECONDS = {"H": 3600, "M": 60}


@dataclass(slots=True, kw_only=True)
class Request:
    """One request. ``words`` are the parts of the path that the route leaves open."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    caller: Caller
    words: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, str]:
        """The query; of several values the last one counts."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def json(self) -> Any:  # noqa: ANN401  # whatever was sent
        """The body. Raises ``Refusal`` (400)."""
        try:
            if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
                form = parse_qsl(self.body.decode(), keep_blank_values=True)
                return {name: _json_or_text(value) for name, value in form}
            return json.loads(self.body)
        except ValueError as error:
            raise Refusal(400, "Badly formatted JSON request") from error

    def object(self) -> dict[str, Any]:
        """The body, which must be an object. Raises ``Refusal`` (400)."""
        found = self.json()
        if not isinstance(found, dict):
            raise Refusal(400, "Expecting a dictionary")
        return found

    def limit(self, most: int, default: int) -> int:
        """The option ``limit``. Raises ``Refusal`` (400)."""
        value = self.options.get("limit")
        if value is None:
            return default
        if not value.isdecimal() or int(value) > most:
            raise Refusal(400, f"The limit must be positive and less or equal than {most}")
        return int(value)

    def time_window(self) -> float:
        """The option ``time_window``, ``H`` or ``H:M``, in seconds; 0: none. Raises ``Refusal`` (400)."""
        value = self.options.get("time_window")
        if value is None:
            return 0.0
        match = re.fullmatch(r"(\d+)(?::(\d+))?", value)
        if match is None:
            raise Refusal(400, f"Invalid time window: {value}")
        return int(match[1]) * 3600.0 + int(match[2] or 0) * 60.0


def _json_or_text(value: str) -> Any:  # noqa: ANN401  # whatever was sent
    try:
        return json.loads(value)
    except ValueError:
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer: JSON, or a text of some type."""

    body: Any = None
    status: int = 200
    text: str | None = None
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        """What is sent."""
        if self.text is not None:
            return self.text.encode()
        return b"" if self.status == 204 else json.dumps(self.body).encode()


class Handler(Protocol):
    """What a route leads to."""

    def __call__(self, service: Service, request: Request) -> Answer:
        """Answer the request. Raises ``Refusal``."""


@dataclass(frozen=True, slots=True)
class _Route:
    methods: tuple[str, ...]
    pattern: re.Pattern[str]
    handler: Handler


class Routes:
    """Paths such as ``/jobs/{}``, in the order in which they are tried."""

    def __init__(self) -> None:
        self._routes: list[_Route] = []

    def add(self, methods: str, path: str) -> Callable[[Handler], Handler]:
        """Have requests to that path answered by a function; methods are separated by blanks."""
        pattern = re.compile(path.replace("{}", "([^/]+)").replace("{name}", "(.+)") + "/?")

        def register(handler: Handler) -> Handler:
            self._routes.append(_Route(tuple(methods.split()), pattern, handler))
            return handler

        return register

    def include(self, other: Routes) -> None:
        """Try these as well."""
        self._routes += other._routes

    def find(self, method: str, path: str) -> tuple[Handler, tuple[str, ...]]:
        """Who answers, and the open parts of the path. Raises ``Refusal`` (404, 405)."""
        known = False
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match is not None:
                known = True
                if method in route.methods:
                    return route.handler, match.groups()
        raise (
            Refusal(405, f"{method} is not allowed here")
            if known
            else Refusal(404, f"No such resource: {path}")
        )
