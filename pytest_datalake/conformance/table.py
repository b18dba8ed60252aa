"""The whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_datalake.conformance.certificates import CERTIFICATES
from pytest_datalake.conformance.connections import CONNECTIONS
from pytest_datalake.conformance.groups import GROUPS
from pytest_datalake.conformance.scopes import STORAGE_SCOPES
from pytest_datalake.conformance.tokens import TOKENS

if TYPE_CHECKING:
    from pytest_datalake.conformance.case import Case

TABLES: dict[str, tuple[Case, ...]] = {
    "Tokens": TOKENS,
    "Storage scopes": STORAGE_SCOPES,
    "Groups": GROUPS,
    "Connections": CONNECTIONS,
    "Certificates": CERTIFICATES,
}
"""The cases by chapter, in the order of the report and of the reference page."""

CASES: tuple[Case, ...] = tuple(case for cases in TABLES.values() for case in cases)
"""Every case of every chapter."""
