"""The IAM: tokens and VOMS proxies made in a second, beside the signatures that a processor makes."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_datalake.clients.iam import Client, Iam
from pytest_datalake.credentials.signing import Signer
from pytest_datalake.credentials.voms import make_voms_proxy
from pytest_datalake.lake import composition
from pytest_datalake.matrix.load import parse
from tests.bench.lake_cost import directory_for_a_lake
from tests.bench.measuring import BenchmarkError, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.matrix.model import Matrix

_CLIENTS = 8

_MATRIX = """\
version: 1
lake: embedded
vo: escape
experiments: [ska]
qos_classes: [A]
sites:
  COMO:
    rses:
      COMO-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints: [{protocol: davs, auth: [token-scope]}]
"""


def rates(*, runs: int, tokens: int, proxies: int) -> list[Row]:
    """Rates of one IAM, which is asked by eight clients with a connection for each request.

    Args:
        runs: of each measurement.
        tokens: to get by a refresh token.
        proxies: to make by voms-proxy-init.
    """
    with directory_for_a_lake() as directory:
        lake = composition.up(
            parse(_MATRIX, "one.yaml"), directory / "state", detached=False, progress=lambda _line: None
        )
        try:
            token = statistics.median(_rate(_token_maker(lake.matrix), tokens) for _ in range(runs))
            proxy = statistics.median(
                _rate(_proxy_maker(lake.matrix, directory), proxies) for _ in range(runs)
            )
            signature = statistics.median(_signatures(lake.matrix) for _ in range(runs))
        finally:
            lake.down()
    measured = (
        (
            f"tokens by refresh token, {_CLIENTS} clients",
            f"{token:.0f} tokens/s",
            f"RS256 signatures of one processor: {signature:.0f}/s",
            f"{token / signature:.2f}",
        ),
        (f"proxies by voms-proxy-init, {_CLIENTS} at a time", f"{proxy:.1f} proxies/s", "", ""),
    )
    return [
        Row(what=f"IAM: {what}", value=value, compared=compared, ratio=ratio, runs=runs)
        for what, value, compared, ratio in measured
    ]


def _rate(make: Callable[[int], object], number: int) -> float:
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=_CLIENTS) as threads:
        list(threads.map(make, range(number)))
    return number / (time.monotonic() - started)


def _token_maker(matrix: Matrix) -> Callable[[int], object]:
    ska = matrix.identity("ska")
    iam = Iam(matrix.trust.issuer, ca_file=matrix.trust.ca_file)
    client = Client(client_id=ska.client_id, secret=Path(ska.client_secret_file).read_text())
    form = {
        "refresh_token": Path(ska.refresh_token_file).read_text(),
        "scope": "storage.read:/ska wlcg.groups",
    }
    iam.metadata()

    def make(_number: int) -> None:
        if not iam.grant(client, "refresh_token", **form)["access_token"]:
            raise BenchmarkError("the IAM gave no token")

    return make


def _proxy_maker(matrix: Matrix, directory: Path) -> Callable[[int], object]:
    ska = replace(matrix.identity("ska"), proxy="")
    return lambda number: make_voms_proxy(
        matrix.trust, ska, directory / f"proxy-{number}", vo=matrix.vo, fqans=ska.groups[:1]
    )


def _signatures(matrix: Matrix, number: int = 500) -> float:
    signer = Signer(Path(matrix.trust.forge.issuer_key).read_bytes())
    started = time.monotonic()
    for serial in range(number):
        signer.sign({"sub": "ska", "jti": str(serial)})
    return number / (time.monotonic() - started)
