"""The ``datalake`` command."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_datalake.errors import DatalakeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.lake.running import Lake

_INTERRUPTED, _INTERNAL, _USAGE = 2, 3, 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit code 4 for a user's mistake, 3 where machinery of ours failed, 2 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except UsageError as error:
        print(f"datalake: {error}", file=sys.stderr)
        return _USAGE
    except DatalakeError as error:
        print(f"datalake: {error}", file=sys.stderr)
        return _INTERNAL
    except KeyboardInterrupt:
        print("datalake: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # the reader, such as head(1), has seen enough
        sys.stderr.close()
        return 0


class _Parser(argparse.ArgumentParser):
    """Ends with the exit code of a user's mistake; argparse's own, 2, means that a run was interrupted."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how the command is used."""
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}\n")


def _parser() -> _Parser:
    parser = _Parser(prog="datalake", description="Put a scientific data lake under test.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    where = _Parser(add_help=False)
    where.add_argument(
        "--matrix",
        type=Path,
        default=Path("site_matrix.yaml"),
        metavar="FILE",
        help="the lake's description (default: %(default)s)",
    )
    where.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="where the lake lives (default: a directory of your own for each matrix file)",
    )

    def add(name: str, run: object, text: str, *parents: _Parser) -> _Parser:
        command = commands.add_parser(name, help=text, description=text, parents=list(parents))
        command.set_defaults(run=run)
        return command

    add("up", _up, "Start the embedded lake that the matrix describes, or adopt the running one.", where)
    add("down", _down, "Stop the embedded lake and remove its state.", where)
    status = add("status", _status, "Say what runs where.", where)
    form = status.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--matrix-file", action="store_true", help="print the matrix of the running lake")
    token = add("token", _token, "Print an access token of an identity of the running lake.", where)
    token.add_argument("identity", help="name, such as ska")
    token.add_argument("--audience", required=True, help="who the token is for (claim aud)")
    token.add_argument("--scope", required=True, help='such as "storage.read:/ska"')
    add("plan", _plan, "Say which cells and links a matrix gives.", where)
    report = add("report", _report, "Make the report of saved results again, or compare two of them.")
    report.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="results files, or directories that hold them"
    )
    report.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("A", "B"),
        help="only say what is another in B than in A; exit code 1 where B is worse",
    )
    report.add_argument(
        "--post",
        metavar="URL",
        help="also send monitoring.json to a collector; user and password from DATALAKE_MONITORING_USER and "
        "DATALAKE_MONITORING_PASSWORD",
    )
    report.add_argument(
        "--producer", default="datalake", metavar="NAME", help="name of the data at the collector"
    )
    report.add_argument(
        "--report-dir", type=Path, default=Path("reports"), metavar="DIR", help="where to write"
    )
    return parser


def _up(options: argparse.Namespace) -> int:
    from pytest_datalake.lake.composition import up
    from pytest_datalake.matrix.load import load

    started = time.monotonic()
    matrix = load(options.matrix)
    lake = up(matrix, _state_directory(options), detached=True, progress=_say)
    rses = {endpoint.rse for endpoint in lake.matrix.endpoints}
    endpoints = lake.matrix.endpoints
    _say(
        f"the lake is up: {len(matrix.sites)} sites, {len(rses)} RSEs, {len(endpoints)} endpoints in "
        f"{time.monotonic() - started:.1f} s, {lake.memory():.0f} MiB; "
        f"`datalake status` shows it, `datalake down` stops it"
    )
    return 0


def _down(options: argparse.Namespace) -> int:
    from pytest_datalake.lake.running import adopt, tidy

    directory = _state_directory(options)
    lake = adopt(directory)
    if lake is None:
        tidy(directory)
        _say(f"no lake runs in {directory}")
        return 0
    lake.down()
    _say(f"the lake in {directory} is down")
    return 0


def _status(options: argparse.Namespace) -> int:
    lake = _running(options)
    if options.matrix_file:
        sys.stdout.write((lake.state_dir / "site_matrix.yaml").read_text())
    elif options.json:
        _say(json.dumps(lake.status(), indent=1))
    else:
        _print_table(lake.status())
    return 0


def _token(options: argparse.Namespace) -> int:
    from pytest_datalake.credentials.tokens import TokenSource

    matrix = _running(options).matrix
    try:
        identity = matrix.identity(options.identity)
    except KeyError:
        names = ", ".join(one.name for one in matrix.identities)
        raise UsageError(f"the lake has no identity {options.identity}; it has {names}") from None
    _say(TokenSource(matrix.trust, identity).token(audience=options.audience, scope=options.scope))
    return 0


def _plan(options: argparse.Namespace) -> int:
    from pytest_datalake.matrix.load import load
    from pytest_datalake.matrix.plan import describe

    _say(describe(load(options.matrix)))
    return 0


def _report(options: argparse.Namespace) -> int:
    from pytest_datalake.report.build import make

    if bool(options.compare) == bool(options.paths):
        raise UsageError("datalake report needs results, or --compare with two of them, and not both")
    if options.compare:
        return _compare(*options.compare)
    built = make(options.paths, options.report_dir, producer=options.producer)
    for line in built.lines:
        _say(line)
    if options.post:
        _post(options.report_dir / "monitoring.json", options.post)
    return built.verdict.exit_code


def _compare(before: Path, after: Path) -> int:
    from pytest_datalake.report.compare import compare
    from pytest_datalake.report.reading import read

    worse, lines = compare(read([before]), read([after]))
    for line in lines:
        _say(line)
    return int(worse)


def _post(path: Path, url: str) -> None:
    from pytest_datalake.report.exports.monitoring import post

    user = os.environ.get("DATALAKE_MONITORING_USER", "")
    post(
        json.loads(path.read_text()),
        url,
        user=user,
        password=os.environ.get("DATALAKE_MONITORING_PASSWORD", ""),
    )


def _state_directory(options: argparse.Namespace) -> Path:
    from pytest_datalake.lake.state import default_for

    return options.state_dir or default_for(options.matrix)


def _running(options: argparse.Namespace) -> Lake:
    from pytest_datalake.lake.running import adopt

    directory = _state_directory(options)
    lake = adopt(directory)
    if lake is None:
        raise UsageError(f"no lake runs in {directory}; `datalake up` starts one")
    return lake


def _print_table(status: dict[str, Any]) -> None:
    _say(f"lake in {status['state_dir']}: {status['phase']}; the issuer's keys are {status['issuer_keys']}")
    rows = [("SITE", "RSE", "QOS", "TECHNOLOGY", "PID", "ADDRESS", "")]
    rows.extend(
        ("", name, "", "service", str(service["pid"]), service["url"], _condition(service))
        for name, service in status["services"].items()
    )
    rows.extend(
        (site, rse, facts["qos"], facts["technology"], str(door["pid"]), door["url"], _condition(door))
        for site, content in status["sites"].items()
        for rse, facts in content["rses"].items()
        for door in facts["endpoints"]
    )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    _say("environment for clients:")
    for variable, value in status["env"].items():
        _say(f"  export {variable}={shlex.quote(value)}")


def _condition(process: dict[str, Any]) -> str:
    """What is to be said about a process: that it ended, and that it crashed."""
    told = [process["ended"]] if process["ended"] else []
    if crashes := process["crashes"]:
        times = f"{len(crashes)} time{'' if len(crashes) == 1 else 's'}"
        told.append(f"crashed {times}, last at {crashes[-1]['at']}: {crashes[-1]['how']}")
    return "; ".join(told)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
