"""A link that is cut, slow or cannot be a third-party copy turns red alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .firewall import cut, slow

if TYPE_CHECKING:
    from .conftest import LakeOf

ARRIVES = "suites/transfer/test_links.py::test_file_arrives_intact"
TOKENS_BY_HTTP = (ARRIVES, "--auth", "token-scope", "--protocol", "davs")

FROM_GARDA_TO_COMO = "GARDA-A.davs > COMO-A.davs"


def test_copies_are_not_streamed_where_third_party_copy_is_off(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", GARDA="xrootd", LEMAN="xrootd")
    lake.edit("LEMAN-A", "xrootd.cfg", "http.exthandler xrdtpc libXrdHttpTPC.so\n", "")
    lake.restart("LEMAN-A")
    verdict = lake.run(*TOKENS_BY_HTTP)
    verdict.is_red(lambda row: row.enters("LEMAN-A"), red=2, green=4, because=r"copy failed \(3rd pull\)")


def test_link_cut_by_a_firewall_turns_red_alone(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", GARDA="xrootd", LEMAN="xrootd")
    with cut(account=lake.account("COMO-A"), port=lake.doors("GARDA-A")[0][1]):
        verdict = lake.run(*TOKENS_BY_HTTP)
    verdict.is_red(
        lambda row: row.where == FROM_GARDA_TO_COMO,
        red=1,
        green=5,
        because="Couldn't connect to server",
    )


def test_link_slower_than_its_budget_turns_red_alone(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", GARDA="xrootd", LEMAN="xrootd")
    with slow(account=lake.account("COMO-A"), port=lake.doors("GARDA-A")[0][1], kilobytes_per_second=10):
        verdict = lake.run(*TOKENS_BY_HTTP, "--budget", "12")
    verdict.is_red(
        lambda row: row.where == FROM_GARDA_TO_COMO,
        red=1,
        green=5,
        because="timed? ?out|expired|no answer within",
    )
