"""YAML as plain data that still knows where every value stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]
"""Keys and positions from the top of the document."""

_TAG = "tag:yaml.org,2002:"
_PLAIN_SCALARS = ("str", "int", "float", "bool", "null", "timestamp")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Line and column of a text, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong at a place. ``path`` is empty where the place is all that is known."""

    position: Position
    path: Path
    message: str


class BrokenYamlError(Exception):
    """The text is no YAML at all; its argument is the one ``Problem``."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class YamlText:
    """A composed YAML document.

    Attributes:
        data: plain data: dict, list, str, int, float, bool, None. Keys and dates are the text that stands in
            the file; an alias is a copy of its own, so that one use can be changed without the others.
        problems: duplicate keys, keys that are no text, tags that mean nothing here.
    """

    def __init__(self, text: str) -> None:
        """Compose.

        Raises:
            BrokenYamlError: the text is not one YAML document.
        """
        loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.problems: list[Problem] = []
        try:
            loader = loader_class(text)
            try:
                self._root: yaml.Node | None = loader.get_single_node()
                self._scalars = yaml.SafeLoader("")
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            position = _position(mark) if mark else Position(1, 1)
            words = ", ".join(part for part in (error.context, error.problem) if part)
            raise BrokenYamlError(Problem(position, (), f"this is not YAML: {words}")) from error
        except yaml.reader.ReaderError as error:
            before = text[: error.position]
            position = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
            raise BrokenYamlError(Problem(position, (), f"this is not YAML: {error.reason}")) from error
        self.data: Any = None if self._root is None else self._plain(self._root, (), frozenset())

    def position(self, path: Path, *, key: bool = False) -> Position:
        """Where a value stands (or its key), or the nearest thing above it that is in the file."""
        node, position = self._root, Position(1, 1)
        if node is not None:
            position = _position(node.start_mark)
        for depth, step in enumerate(path):
            key_node, value = self._child(node, step)
            if value is None:
                return position
            last = depth == len(path) - 1
            position = _position((key_node if key_node is not None and key and last else value).start_mark)
            node = value
        return position

    def is_shared(self, path: Path, inside: Path) -> bool:
        """Whether a value stands outside of something that it belongs to, because it is an alias."""
        outer, node = self._node(inside), self._node(path)
        if outer is None or node is None:
            return False
        return not outer.start_mark.index <= node.start_mark.index < outer.end_mark.index

    def _node(self, path: Path) -> yaml.Node | None:
        node = self._root
        for step in path:
            _, node = self._child(node, step)
        return node

    def _child(self, node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
        """Key node (None in a list) and value node under a step; nothing where the file has no such thing."""
        if isinstance(node, yaml.MappingNode):
            for key, value in _pairs(node):
                if key.value == step:
                    return key, value
        if isinstance(node, yaml.SequenceNode):
            if isinstance(step, int) and step < len(node.value):
                return None, node.value[step]
            for item in node.value:  # a list of names that stands for a mapping
                if isinstance(item, yaml.ScalarNode) and item.value == step:
                    return None, item
        return None, None

    def _plain(self, node: yaml.Node, path: Path, above: frozenset[int]) -> Any:  # noqa: ANN401  # it is any YAML
        if id(node) in above:
            self._complain(node, path, "an alias to something that it is part of")
            return None
        above |= {id(node)}
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*path, index), above) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node, path)
            data: dict[str, Any] = {}
            for key, value in _pairs(node):
                if isinstance(key, yaml.ScalarNode) and key.value not in data:
                    data[key.value] = self._plain(value, (*path, key.value), above)
            return data
        return self._scalar(node, path)

    def _check_keys(self, node: yaml.MappingNode, path: Path) -> None:
        first: dict[str, Position] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._complain(key, path, "a key must be text")
            elif key.tag == f"{_TAG}merge":
                if any(not isinstance(merged, yaml.MappingNode) for merged in _merged(value)):
                    self._complain(value, path, "<< takes an alias of a mapping, or a list of such")
            elif key.value in first:
                where = first[key.value]
                self._complain(
                    key, (*path, key.value), f"the key '{key.value}' stands on line {where.line} already"
                )
            else:
                first[key.value] = _position(key.start_mark)

    def _scalar(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401  # it is any scalar
        kind = node.tag.removeprefix(_TAG)
        if kind not in _PLAIN_SCALARS:
            self._complain(node, path, f"the tag {node.tag.replace(_TAG, '!!')} has no meaning here")
            return None
        if kind == "timestamp":
            return node.value
        try:
            return self._scalars.construct_object(node)
        except (ValueError, KeyError, yaml.YAMLError):
            self._complain(node, path, f"this cannot be read as {kind}")
            return None

    def _complain(self, node: yaml.Node, path: Path, message: str) -> None:
        self.problems.append(Problem(_position(node.start_mark), path, message))


def _pairs(
    node: yaml.MappingNode, above: frozenset[int] = frozenset()
) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Keys and values, own ones before those that come by ``<<``."""
    for key, value in node.value:
        if key.tag != f"{_TAG}merge":
            yield key, value
    above |= {id(node)}
    for key, value in node.value:
        if key.tag == f"{_TAG}merge":
            for merged in _merged(value):
                if isinstance(merged, yaml.MappingNode) and id(merged) not in above:
                    yield from _pairs(merged, above)


def _merged(value: yaml.Node) -> list[yaml.Node]:
    return list(value.value) if isinstance(value, yaml.SequenceNode) else [value]


def _position(mark: yaml.Mark) -> Position:
    return Position(mark.line + 1, mark.column + 1)
