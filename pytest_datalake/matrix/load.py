"""Read a matrix file, and say everything that is wrong with it at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_datalake.errors import UsageError
from pytest_datalake.matrix import axes, routes
from pytest_datalake.matrix.checks import check
from pytest_datalake.matrix.known_issues import fits
from pytest_datalake.matrix.resolve import resolve
from pytest_datalake.matrix.shape import expand_short_forms, is_under, read
from pytest_datalake.matrix.yaml_nodes import BrokenYamlError, Position, Problem, YamlText

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Downtime, KnownIssue, Matrix
    from pytest_datalake.matrix.yaml_nodes import Path as Steps


def load(path: str | Path) -> Matrix:
    """The matrix that a file describes.

    Raises:
        UsageError: the file cannot be read, or is wrong; one line for each mistake,
            ``file:line:column: path: message``.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such matrix file; name one by --matrix FILE") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: this is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    return parse(text, str(path))


def parse(text: str, path: str) -> Matrix:
    """The matrix that a text describes; ``path`` is where it stands, for messages and relative file names.

    Raises:
        UsageError: as for ``load``.
    """
    try:
        yaml_text = YamlText(text)
    except BrokenYamlError as error:
        raise _usage_error(path, [error.problem]) from None
    complaints = _Complaints(yaml_text)
    matrix = _matrix(yaml_text, path, complaints)
    if complaints.problems or matrix is None:
        raise _usage_error(path, complaints.problems)
    return matrix


class _Complaints:
    """Collects problems and finds out where they stand.

    Attributes:
        silent: paths of which nothing more is to be said.
    """

    def __init__(self, yaml_text: YamlText) -> None:
        self._yaml_text = yaml_text
        self.problems = list(yaml_text.problems)
        self.silent: frozenset[Steps] = frozenset()

    def __call__(self, path: Steps, message: str, *, key: bool = False) -> None:
        if not is_under(path, self.silent):
            self.problems.append(Problem(self._yaml_text.position(path, key=key), path, message))


def _matrix(yaml_text: YamlText, path: str, complaints: _Complaints) -> Matrix | None:
    data: Any = yaml_text.data
    if not isinstance(data, dict):
        complaints((), "the file is empty" if data is None else "must be a mapping (key: value)")
        return None
    expand_short_forms(data, complaints)
    document, doubtful = read(data, complaints)
    if document is None:
        return None
    complaints.silent = doubtful
    check(document, doubtful, complaints)
    if complaints.problems:
        return None

    def line_of(steps: Steps) -> int:
        rse = steps[:4]
        shared = len(steps) > len(rse) and yaml_text.is_shared(steps, inside=rse)
        return yaml_text.position(rse if shared else steps, key=True).line

    matrix = resolve(document, path, line_of)
    for steps in _matches_without_cell(matrix):
        complaints((*steps, "match"), "no cell and no link matches all of these together")
    return matrix


def _matches_without_cell(matrix: Matrix) -> list[Steps]:
    entries: list[tuple[Steps, KnownIssue | Downtime]] = [
        *((("known_issues", index), issue) for index, issue in enumerate(matrix.known_issues)),
        *((("downtimes", index), downtime) for index, downtime in enumerate(matrix.downtimes)),
    ]
    if not entries:
        return []
    cells = axes.cells(matrix)
    links = (*axes.links(matrix), *axes.streamed_links(matrix), *routes.rule_links(matrix))
    return [
        steps
        for steps, entry in entries
        if entry.match
        and not any(fits(entry.match, cell=cell) for cell in cells)
        and not any(fits(entry.match, link=link) for link in links)
    ]


def _usage_error(path: str, problems: list[Problem]) -> UsageError:
    """One line for each mistake; what several aliases share is said once."""
    shared: dict[tuple[Position, str], list[Problem]] = {}
    for problem in problems:
        shared.setdefault((problem.position, problem.message), []).append(problem)
    lines = []
    for (position, message), same in sorted(shared.items(), key=lambda entry: entry[0]):
        dotted = ".".join(str(step) for step in same[0].path)
        where = f"{path}:{position.line}:{position.column}: " + (f"{dotted}: " if dotted else "")
        more = f" (and {len(same) - 1} more that share these lines)" if len(same) > 1 else ""
        lines.append(where + message + more)
    return UsageError("\n".join(lines))
