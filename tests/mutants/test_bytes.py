"""Bytes that are lost, changed or lied about turn red where they were stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import LakeOf
    from .harness import SmallLake

ARRIVES = "suites/transfer/test_links.py::test_file_arrives_intact"
STAT = "suites/access/test_files.py::test_stat_tells_the_size"
READ_BACK = "suites/access/test_files.py::test_upload_is_read_back_whole"
ADLER32 = "suites/access/test_checksums.py::test_adler32_is_that_of_the_bytes"
DIRECTORIES = "suites/access/test_names.py::test_directory_is_made_and_removed"

CHECKSUM_ONCE = """\
#!/usr/bin/python3 -I
# Tells a file's checksum as it was when first asked for; what is on disk goes bad in that moment.
import os, sys, zlib
path = "{data}" + sys.argv[-1]
try:
    told = os.getxattr(path, "user.told").decode()
except OSError:
    with open(path, "r+b") as file:
        told = format(zlib.adler32(file.read()), "08x")
        os.setxattr(path, "user.told", told.encode())
        times = os.stat(path)
        {damage}
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
print(told)
"""

FLIP = "file.seek(777); byte = file.read(1); file.seek(777); file.write(bytes([byte[0] ^ 1]))"
TRUNCATE = "file.truncate(times.st_size - 1)"


def damage_below_the_checksum(lake: SmallLake, rse: str, damage: str) -> None:
    """Have an XRootD keep telling the right checksum of files that are damaged on disk."""
    program = lake.place(rse, "checksum", CHECKSUM_ONCE.format(data=lake.data(rse), damage=damage))
    lake.edit(rse, "xrootd.cfg", "xrootd.chksum max 64 adler32 md5\n", f"xrootd.chksum adler32 {program}\n")
    lake.restart(rse)


def test_flipped_byte_under_a_good_checksum_turns_red(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", GARDA="xrootd", LEMAN="xrootd")
    damage_below_the_checksum(lake, "LEMAN-A", FLIP)
    verdict = lake.run(ARRIVES, "--auth", "token-scope")
    verdict.is_red(
        lambda row: row.touches("LEMAN-A"),
        red=8,
        green=4,
        because="differs from the source at byte 777|CHECKSUM MISMATCH|CheckSum error",
    )
    silent = {row.key for row in verdict.rows if "differs from the source at byte 777" in row.reason}
    assert silent == {row.key for row in verdict.rows if row.enters("LEMAN-A")}


def test_truncated_file_turns_red(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", LEMAN="xrootd")
    damage_below_the_checksum(lake, "LEMAN-A", TRUNCATE)
    verdict = lake.run(STAT, READ_BACK, ARRIVES, "--auth", "token-scope")
    verdict.is_red(
        lambda row: row.touches("LEMAN-A"),
        red=8,
        green=4,
        because=r"12344 != 12345|assert b'|at byte 1048575|CHECKSUM MISMATCH|CheckSum error",
    )


def test_lying_checksum_turns_red(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="apache", LEMAN="apache")
    lake.edit("LEMAN-A", "lua/apache_door.lua", '"adler32=" .. adler32(file)', '"adler32=0badcafe"')
    lake.restart("LEMAN-A")
    verdict = lake.run(ADLER32, DIRECTORIES, "--auth", "token-scope", "--auth", "x509")
    verdict.is_red(
        lambda row: row.touches("LEMAN-A") and row.test == "test_adler32_is_that_of_the_bytes",
        red=2,
        green=6,
        because="checksum",
    )


def test_full_disk_turns_uploads_red(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", GARDA="apache", LEMAN="xrootd", OHRID="apache")
    full = ("LEMAN-A", "OHRID-A")
    for rse in full:
        lake.fill_disk(rse)
    verdict = lake.run(STAT, DIRECTORIES, "--auth", "token-scope")
    verdict.is_red(
        lambda row: row.where.split(".")[0] in full and row.test == "test_stat_tells_the_size",
        red=3,
        green=9,
        # XRootD 5.5 says so over root, and over davs it hangs up
        because="no space left|HTTP 507|connection was closed by server",
    )
