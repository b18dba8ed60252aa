"""What other programs read: Prometheus' text format, and flat JSON documents that a collector takes."""

from __future__ import annotations

import json
import re
import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from pytest_datalake.cli import main
from pytest_datalake.errors import EngineError, UsageError
from pytest_datalake.report.build import make
from pytest_datalake.report.exports.monitoring import post
from pytest_datalake.report.rows import TestRow
from tests.report.test_build import HOSTILE, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_datalake.report.rows import Row

SAMPLE = re.compile(r'datalake_\w+(\{\w+="(\\.|[^"\\\n])*"(,\w+="(\\.|[^"\\\n])*")*\})? [-+0-9.e]+')


@contextmanager
def collector(status: int) -> Iterator[tuple[str, list[tuple[Any, str]]]]:
    taken: list[tuple[Any, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((json.loads(body), self.headers.get("Authorization", "")))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/datalake", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_gauges(tmp_path: Path, broken_run: list[Row]) -> None:
    make([write(tmp_path, broken_run)], tmp_path)
    text = (tmp_path / "metrics.prom").read_text()
    lines = text.splitlines()
    assert [line for line in lines if not line.startswith("# ") and not SAMPLE.fullmatch(line)] == []
    assert 'datalake_verdict{word="RED"} 1' in lines
    assert 'datalake_site_faults{site="OHRID"} 1' in lines
    assert 'datalake_links{outcome="failed"} 11' in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_hostile_names_stay_labels(tmp_path: Path, green_run: list[Row]) -> None:
    run, first, *rest = green_run
    assert isinstance(first, TestRow)
    bad = replace(first, source=HOSTILE, destination='"} 1\n', outcome="failed", reason=HOSTILE)
    make([write(tmp_path, [run, bad, *rest])], tmp_path)
    lines = (tmp_path / "metrics.prom").read_text().split("\n")
    assert [line for line in lines[:-1] if not line.startswith("# ") and not SAMPLE.fullmatch(line)] == []


def test_documents_are_flat_and_alike(tmp_path: Path, broken_run: list[Row]) -> None:
    make([write(tmp_path, broken_run)], tmp_path, producer="mylake")
    documents = json.loads((tmp_path / "monitoring.json").read_text())
    keys: dict[str, set[frozenset[str]]] = defaultdict(set)
    for document in documents:
        assert document["producer"] == "mylake"
        assert document["type_prefix"] == "raw"
        assert document["timestamp"] == 1795313261000
        assert document["status"] in {"ok", "warning", "error", "unknown"}
        assert not [value for value in document.values() if isinstance(value, (dict, list))]
        keys[document["type"]].add(frozenset(document))
    assert {name: len(found) for name, found in keys.items()} == {
        "datalake_run": 1,
        "datalake_site": 1,
        "datalake_link": 1,
        "datalake_fault": 1,
    }
    assert len({document["_id"] for document in documents}) == len(documents)


def test_posting(tmp_path: Path, green_run: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATALAKE_MONITORING_USER", "me")
    monkeypatch.setenv("DATALAKE_MONITORING_PASSWORD", "hidden")
    path = write(tmp_path, green_run)
    with collector(200) as (url, taken):
        assert main(["report", str(path), "--report-dir", str(tmp_path), "--post", url]) == 0
    ((documents, authorization),) = taken
    assert documents == json.loads((tmp_path / "monitoring.json").read_text())
    assert authorization == "Basic bWU6aGlkZGVu"


def test_a_collector_that_refuses_is_told_and_the_report_stays(
    tmp_path: Path, green_run: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    with collector(403) as (url, _):
        assert (
            main(["report", str(write(tmp_path, green_run)), "--report-dir", str(tmp_path), "--post", url])
            == 3
        )
    assert "did not take" in capsys.readouterr().err
    assert (tmp_path / "index.html").exists()


def test_nobody_listens() -> None:
    with pytest.raises(EngineError, match="did not take 0 documents"):
        post([], "http://127.0.0.1:1/")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "https://me:hidden@monitoring.example/", "nothing"])
def test_addresses_that_are_not_taken(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        post([], url)
    assert "hidden" not in str(caught.value)
