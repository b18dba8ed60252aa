"""The page on the IAM names everything that the IAM answers."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_datalake.lake.iam.config import Settings
from pytest_datalake.lake.iam.server import application

PAGE = Path(__file__).parents[2] / "docs/reference/iam.md"


def test_every_route_is_on_the_page() -> None:
    settings = Settings(
        issuer="https://localhost:1/",
        vo="escape",
        port=0,
        directory="",
        host_certificate="",
        host_key="",
        ca_file="",
        signing_key="",
    )
    told = {
        re.sub(r"(ID|NAME|ADDRESS)\b", "*", path).partition("?")[0].partition("[")[0]
        for path in re.findall(r"(?<=[` ])(/[^`,]*)(?=[`,])", PAGE.read_text(encoding="utf-8"))
    }
    routes = {one.rule for one in application(settings).url_map.iter_rules()}
    labels = {"/iam/account/*/labels", "/iam/group/*/labels"}
    served = {re.sub(r"<[^>]*>", "*", rule) for rule in routes if not rule.endswith("/labels")} | labels
    assert served - told == set()
    assert {path for path in told - served if path.startswith(("/iam", "/scim", "/registration"))} == set()
