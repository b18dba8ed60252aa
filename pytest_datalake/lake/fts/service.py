"""The parts of one transfer manager, and what becomes of a request."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pytest_datalake.lake.fts import admin_api, info_api, job_api
from pytest_datalake.lake.fts.bans import Bans
from pytest_datalake.lake.fts.delegation import Delegations
from pytest_datalake.lake.fts.engine import Engine
from pytest_datalake.lake.fts.herald import Herald
from pytest_datalake.lake.fts.lifecycle import Lifecycle
from pytest_datalake.lake.fts.limits import Limits
from pytest_datalake.lake.fts.messenger import Messenger
from pytest_datalake.lake.fts.orders import Orders
from pytest_datalake.lake.fts.peers import Peers
from pytest_datalake.lake.fts.refusal import Refusal
from pytest_datalake.lake.fts.store import Store
from pytest_datalake.lake.fts.web import Answer, Request, Routes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.lake.fts.config import Settings
    from pytest_datalake.lake.fts.nursery import Nursery

_log = logging.getLogger(__name__)

_ROUTES = Routes()
for _part in (job_api, admin_api, info_api):
    _ROUTES.include(_part.routes)


class Service:
    """A transfer manager without its listener.

    Args:
        settings: how it is set up.
        nursery: where its workers come from.
        keys: ``scheme://host:port`` -> access_key and secret_key of an object store.
        broker_password: of the user that the settings name, where they name a broker.
    """

    def __init__(
        self,
        settings: Settings,
        nursery: Nursery,
        keys: Mapping[str, Mapping[str, str]],
        *,
        broker_password: str = "",
    ) -> None:
        directory = Path(settings.directory)
        self.host = urlsplit(settings.url).hostname or "localhost"
        self.store = Store(directory / "fts.db")
        self.lifecycle = Lifecycle(self.store, self.host)
        self.delegations = Delegations(self.store, directory / "proxies")
        self.limits = Limits(settings, self.store)
        self.bans = Bans(self.store, self.lifecycle)
        self.peers = Peers(settings)
        orders = Orders(settings, self.delegations, keys)
        messages = directory / "messages.jsonl"
        self._herald = Herald(settings, self.store, messages, password=broker_password)
        messenger = Messenger(self.store, messages, self._herald.wake)
        self.engine = Engine(settings, self.lifecycle, orders, self.limits, nursery, messenger)
        self._default_retry = settings.default_retry

    def start(self, delegated: tuple[bytes, ...]) -> None:
        """Take up what an earlier process left, and begin."""
        from cryptography import x509

        for proxy in delegated:
            caller = self.peers.by_certificates(x509.load_pem_x509_certificates(proxy))
            self.delegations.load(caller, proxy)
            _log.info("holds the proxy of %s", caller.dn)
        again = self.engine.recover()
        if again:
            _log.warning("%d transfers were running when the service ended: they are done again", again)
        self.engine.start()
        self._herald.start()

    def stop(self) -> None:
        """End."""
        self.engine.stop()
        self._herald.stop()
        self.store.close()

    def default_retry(self, vo: str) -> int:
        """Attempts after the first, for jobs that leave that to the service."""
        known = self.store.settings("global")
        return int(known.get(vo, known.get("*", {})).get("retry", self._default_retry))

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, chain: tuple[bytes, ...]
    ) -> Answer:
        """Answer a request, whatever it is."""
        parts = urlsplit(re.sub(r"^/{2,}", "/", target))
        path = re.sub(r"/{2,}", "/", parts.path)
        try:
            if path == "/" and method == "GET":
                return info_api.about()
            _demand_same_origin(headers)
            caller = self.peers.caller(chain, headers.get("authorization", ""))
            self.bans.demand_not_banned(caller)
            handler, words = _ROUTES.find(method, path)
            request = Request(
                method=method,
                path=path,
                query=parts.query,
                headers=headers,
                body=body,
                caller=caller,
                words=tuple(unquote(word) for word in words),
            )
            answer = handler(self, request)
        except Refusal as refusal:
            _log.info("%s %s: %d %s", method, path, refusal.status, refusal.message)
            return Answer(body=refusal.body(), status=refusal.status)
        except Exception:  # noqa: BLE001  # whatever it is, it belongs to this request
            _log.exception("%s %s", method, path)
            return Answer(body=Refusal(500, "a fault of the service; see its log").body(), status=500)
        return answer


def _demand_same_origin(headers: Mapping[str, str]) -> None:
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise Refusal(403, "Host and Origin do not match")
