"""A lake with three faults of three kinds: the report names exactly those three."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .firewall import cut

if TYPE_CHECKING:
    from .conftest import LakeOf

LINKS = "suites/transfer/test_links.py::test_file_arrives_intact"
STAT = "suites/access/test_files.py::test_stat_tells_the_size"


def test_three_faults_are_named_and_nothing_else(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", GARDA="xrootd", INARI="apache", LEMAN="xrootd", OHRID="xrootd")
    lake.edit("OHRID-A", "xrootd.cfg", "http.exthandler xrdtpc libXrdHttpTPC.so\n", "")
    lake.restart("OHRID-A")
    lake.kill("INARI-A")
    with cut(account=lake.account("COMO-A"), port=lake.doors("GARDA-A")[0][1]):
        verdict = lake.run(LINKS, STAT, "--budget", "20", workers=4)
    assert verdict.faults == {
        "any:site:INARI": "INARI cannot be reached",
        "destination:door:OHRID+davs": "OHRID fails as destination over davs",
        "link:site:GARDA+COMO": "the link GARDA → COMO fails",
    }
