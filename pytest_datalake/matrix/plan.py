"""What a matrix holds, and what a run over it would do, as a table to read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_datalake.matrix.downtimes import announced
from pytest_datalake.matrix.known_issues import where
from pytest_datalake.matrix.selection import Selected, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_datalake.matrix.model import Downtime, Endpoint, Link, Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run will cost.

    Attributes:
        tests: planned tests by capability.
        written_bytes: by site.
        written_files: by site.
    """

    tests: Mapping[str, int] = field(default_factory=dict)
    written_bytes: Mapping[str, int] = field(default_factory=dict)
    written_files: Mapping[str, int] = field(default_factory=dict)


def describe(matrix: Matrix, selected: Selected | None = None, estimate: Estimate | None = None) -> str:
    """The selected part of a lake and, where it is known, what testing that costs; ends in a newline."""
    selected = selected or select(matrix)
    lake = "embedded" if matrix.embedded else "real"
    blocks = [
        [
            f"{matrix.path} (digest {matrix.digest}), {lake} lake of the VO {matrix.vo}",
            f"experiments: {', '.join(selected.experiments)}",
        ],
        _sites(selected, estimate),
        _capabilities(selected, estimate),
        _links(selected.links, "third-party copies"),
        _links(selected.streamed_links, "streamed copies"),
    ]
    if matrix.known_issues:
        blocks.append([f"known issues: {len(matrix.known_issues)}"])
    if downtimes := announced(matrix.downtimes, datetime.now(UTC)):
        blocks.append([f"downtimes, now or later: {len(downtimes)}", *_downtimes(downtimes)])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _sites(selected: Selected, estimate: Estimate | None) -> list[str]:
    header = ["site", "RSE", "technology", "QoS", "endpoints"]
    if estimate is not None:
        header += ["files", "bytes"]
    doors: dict[tuple[str, str], list[Endpoint]] = {}
    for endpoint in selected.endpoints:
        doors.setdefault((endpoint.site, endpoint.rse), []).append(endpoint)
    rows: list[list[str]] = []
    shown: set[str] = set()
    for (site, rse), endpoints in sorted(doors.items()):
        first = endpoints[0]
        row = [
            "" if site in shown else site,
            rse,
            first.technology,
            first.qos,
            ", ".join(one.protocol for one in endpoints),
        ]
        if estimate is not None:
            row += (
                ["", ""]
                if site in shown
                else [
                    str(estimate.written_files.get(site, 0)),
                    readable_bytes(estimate.written_bytes.get(site, 0)),
                ]
            )
        shown.add(site)
        rows.append(row)
    return [
        f"sites: {len(shown)}, RSEs: {len(doors)}, endpoints: {len(selected.endpoints)}",
        *_table(header, rows),
    ]


def _capabilities(selected: Selected, estimate: Estimate | None) -> list[str]:
    header = ["capability", "RSEs"]
    if estimate is not None:
        header.append("tests")
    rows = []
    planned = {} if estimate is None else estimate.tests
    for name in sorted(selected.capabilities | set(planned)):
        declaring = {endpoint.rse for endpoint in selected.endpoints if name in endpoint.supports}
        rows.append(
            [name, str(len(declaring)), *([str(planned.get(name, 0))] if estimate is not None else [])]
        )
    total = f", tests: {sum(planned.values())}" if estimate is not None else ""
    return [f"capabilities: {len(rows)}{total}", *_table(header, rows)]


def _links(links: Sequence[Link], title: str) -> list[str]:
    counts: Counter[tuple[str, ...]] = Counter()
    for link in links:
        families = dict.fromkeys((link.source.family, link.destination.family))
        technologies = f"{link.source.technology} to {link.destination.technology}"
        counts[" to ".join(families), technologies, link.auth] += 1
    rows = [[*names, str(count)] for names, count in sorted(counts.items())]
    return [f"{title}: {len(links)}", *_table(["family", "technologies", "auth", "links"], rows)]


def _downtimes(downtimes: Sequence[Downtime]) -> list[str]:
    header = ["where", "start", "end", "reason"]
    return _table(header, [[where(one), one.start, one.end, one.reason] for one in downtimes])


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as need be; numbers to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    if len(lines) == 1:
        return []
    columns = list(zip(*lines, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    numeric = [all(cell == "" or cell[0].isdigit() for cell in column[1:]) for column in columns]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    ]


def readable_bytes(count: int) -> str:
    """A number of bytes in the largest binary unit (IEC 80000-13) that it fills, with at most one decimal."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"
