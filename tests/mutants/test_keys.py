"""Doors of which the issuer's keys change, or whose issuer is away."""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
import ssl
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.clients.iam import Iam
from pytest_datalake.credentials.tokens import TokenSource

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Endpoint, Matrix

    from .conftest import LakeOf
    from .harness import SmallLake


class Doors:
    """The davs doors of a lake, and tokens for them."""

    def __init__(self, lake: SmallLake) -> None:
        self._lake = lake
        self._matrix: Matrix = lake.matrix
        self._doors = {one.rse: one for one in self._matrix.endpoints if one.protocol == "davs"}
        self._tls = ssl.create_default_context(cafile=self._matrix.trust.ca_file)
        self._written = 0

    def tokens(self) -> dict[str, str]:
        """A fresh token for each door."""
        return {
            rse: self._token("ska", door.audience, "storage.modify:/ska") for rse, door in self._doors.items()
        }

    def statuses(self, tokens: dict[str, str]) -> dict[str, bool]:
        """Whether each door lets a file be written with its token."""
        return {rse: self._put(door, tokens[rse]) for rse, door in self._doors.items()}

    def rotate_keys(self) -> None:
        """Have the issuer sign with new keys, and publish the old ones as well."""
        token = self._token("robot", "https://localhost", "iam:admin.write")
        issuer = Iam(self._matrix.trust.issuer, token=token, ca_file=self._matrix.trust.ca_file)
        assert issuer.ask("POST", "iam/keys").status == 201

    def age_key_cache(self, rse: str) -> None:
        """Let the time come at which scitokens-cpp, the library in XRootD, fetches keys again."""
        cache = self._lake.directory(rse) / "cache" / "scitokens" / "scitokens_cpp.sqllite"
        with contextlib.closing(sqlite3.connect(cache)) as database, database:
            ((issuer, text),) = database.execute("SELECT issuer, keys FROM keycache").fetchall()
            aged = json.dumps({**json.loads(text), "next_update": 1})
            database.execute("UPDATE keycache SET keys = ? WHERE issuer = ?", (aged, issuer))

    def _token(self, name: str, audience: str, scope: str) -> str:
        source = TokenSource(self._matrix.trust, self._matrix.identity(name))
        return source.token(audience=audience, scope=scope)

    def _put(self, door: Endpoint, token: str) -> bool:
        self._written += 1
        connection = http.client.HTTPSConnection(door.host, door.port, timeout=30, context=self._tls)
        with contextlib.closing(connection):
            path = f"{door.prefix}/ska/rotation-{self._written}"
            connection.request("PUT", path, b"x", {"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
        assert answer.status in {200, 201, 403}, f"{door.id}: {answer.status}"
        return answer.status != 403


def test_doors_follow_the_issuers_keys_and_do_without_the_issuer(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", GARDA="apache")
    if not lake.fetches_keys:
        pytest.skip("only root can have doors fetch the issuer's keys: their CA bundle is the machine's")
    doors = Doors(lake)
    before = doors.tokens()
    both = {"COMO-A": True, "GARDA-A": True}
    assert doors.statuses(before) == both
    doors.rotate_keys()
    after = doors.tokens()
    assert doors.statuses(before) == both
    # mod_auth_openidc asks again for a key that it does not know; scitokens-cpp 0.7.3 after ten minutes only
    assert doors.statuses(after) == {"COMO-A": False, "GARDA-A": True}
    doors.age_key_cache("COMO-A")
    assert doors.statuses(after) == both
    assert doors.statuses(before) == both
    lake.stop_service("iam")
    assert doors.statuses(after) == both
