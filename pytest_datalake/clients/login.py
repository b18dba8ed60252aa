"""Logging in to an OpenID provider as a browser does: pages, forms, cookies and redirections, without one."""

from __future__ import annotations

import http.cookiejar
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from pytest_datalake.errors import ServiceError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPMessage
    from typing import IO

_PATIENCE = 30.0
_MAX_PAGE = 4 << 20


@dataclass(slots=True, kw_only=True)
class Form:
    """A form of a page.

    Attributes:
        action: where it is sent.
        fields: name -> value, as they stand before anybody types.
        kinds: name -> type, of what is to be filled in.
    """

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: where it is, and what can be sent from it."""

    url: str
    status: int
    forms: tuple[Form, ...]
    text: str = field(repr=False)

    def form(self, name: str) -> Form:
        """The first form that has a field of that name. Raises ``StorageError`` where there is none."""
        for form in self.forms:
            if name in form.fields:
                return form
        place = self.url.partition("?")[0]
        raise StorageError(
            f"the page {place} has no form with a field {name!r}; it says: {self.said}",
            kind="denied",
            url=place,
        )

    @property
    def said(self) -> str:
        """The text of the page, for people; at most 300 characters."""
        reader = _Text()
        reader.feed(self.text)
        return " ".join(" ".join(reader.parts).split())[:300]


class Session:
    """One browser's worth of cookies.

    Args:
        ca_file: PEM bundle that alone vouches for the services; empty: the system's.
        until: address of a client: a redirection to there is not followed, it is what was wanted.
    """

    def __init__(self, *, ca_file: str = "", until: str = "") -> None:
        context = ssl.create_default_context(cafile=ca_file or None)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            _Redirections(until),
        )

    def open(self, url: str) -> Page:
        """Open an address. Raises ``ServiceError``."""
        return self._fetch(urllib.request.Request(url))  # noqa: S310  # https, or what a service redirects to

    def submit(self, page: Page, form: Form, **values: str) -> Page:
        """Send a form, with some of its fields filled in. Raises ``ServiceError``."""
        sent = urlencode({**form.fields, **values})
        target = urljoin(page.url, form.action)
        if form.method == "get":
            return self.open(f"{target}?{sent}")
        return self._fetch(urllib.request.Request(target, sent.encode()))  # noqa: S310  # as above

    def _fetch(self, request: urllib.request.Request) -> Page:
        request.add_header("Accept", "text/html")
        try:
            with self._opener.open(request, timeout=_PATIENCE) as answer:
                return _read(answer.geturl(), answer.status, answer.read(_MAX_PAGE))
        except urllib.error.HTTPError as error:
            with error:
                return _read(error.geturl(), error.code, error.read(_MAX_PAGE))
        except OSError as error:
            place = request.full_url.partition("?")[0]
            raise ServiceError(f"{place} did not answer: {error}", service="iam") from error


def sent_back(page: Page, redirect_uri: str) -> Mapping[str, str]:
    """What a client was told when the user came back to it. Raises ``StorageError`` where nobody did."""
    if not page.url.startswith(redirect_uri):
        raise StorageError(
            f"the login ended at {page.url.partition('?')[0]}, not at the client; it says: {page.said}",
            kind="denied",
        )
    return dict(parse_qsl(urlsplit(page.url).query))


def _read(url: str, status: int, content: bytes) -> Page:
    text = content.decode(errors="replace")
    reader = _Forms()
    reader.feed(text)
    return Page(url=url, status=status, forms=tuple(reader.forms), text=text)


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but for the one to the client."""

    def __init__(self, until: str) -> None:
        self._until = until

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """None: the answer is that of the page that redirects; its address is where it leads."""
        if self._until and newurl.startswith(self._until):
            cast("Any", fp).url = newurl
            raise urllib.error.HTTPError(newurl, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Forms(HTMLParser):
    """Finds the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Forms and fields begin."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(action=given.get("action", ""), method=given.get("method", "get").lower())
            self.forms.append(self._open)
        elif (
            self._open is not None and tag in {"input", "button", "select", "textarea"} and given.get("name")
        ):
            kind = given.get("type", "text") if tag == "input" else tag
            self._open.kinds[given["name"]] = kind
            if tag == "button":  # which of several is pressed is for the sender to say
                self._open.fields.setdefault(given["name"], "")
            else:
                self._open.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Forms end."""
        if tag == "form":
            self._open = None


class _Text(HTMLParser):
    """Finds what people read."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # the parent's
        """Styles and scripts are not read by people."""
        self._hidden = tag in {"style", "script", "title"}

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  # the parent's
        """They end."""
        self._hidden = False

    def handle_data(self, data: str) -> None:
        """Text."""
        if not self._hidden:
            self.parts.append(data)
