"""YAML without opinions: every scalar stays the text it was, every key knows its line.

Tags are refused, and so are aliases that would unfold to far more than was written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from reelbatch.manifest.faults import Unreadable, shown
from reelbatch.manifest.rows import Fault

DEEPEST = 20
UNFOLDED_CAP = 100_000
"""Nodes that aliases may always add up to."""
UNFOLDED_RATIO = 50

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOTHING = frozenset({"~", "null", "Null", "NULL"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """A sequence, with the line of each item."""

    values: list[Node]
    lines: list[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """A mapping; `lines` are those of keys that do not stand on its first line."""

    line: int
    values: dict[str, Node]
    lines: dict[str, int]
    twice: list[str] = field(default_factory=list)
    """Keys that were there again; the fault has been told."""

    def line_of(self, key: str) -> int:
        return self.lines.get(key, self.line)


Node = str | Items | Keys


def compose(text: str, *, file: str, found: list[Fault]) -> Node | None:
    """The one document of a YAML text; None if it is empty. Raises Unreadable."""
    events = yaml.parse(text, Loader=_LOADER)
    try:
        return _Composer(events, file, found).document()
    except yaml.YAMLError as error:
        raise _does_not_parse(error) from error


class _Composer:
    """Turns the parser's events into nodes, counting what aliases unfold to."""

    def __init__(self, events: Iterator[Any], file: str, found: list[Fault]) -> None:
        self._events = events
        self._file = file
        self._found = found
        self._anchored: dict[str, tuple[Node, int]] = {}
        self._written = 0

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _refused(event, "A second document begins.", "yaml-two-documents")
                root, _ = self._node(next(self._events), 0)
        return None if root == "" else root

    def _node(self, event: Any, depth: int) -> tuple[Node, int]:
        """A node, and how many nodes it is once its aliases are unfolded."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._check(event, depth)
        node: Node
        match event:
            case yaml.SequenceStartEvent():
                node, size = self._sequence(depth)
            case yaml.MappingStartEvent():
                node, size = self._mapping(event, depth)
            case _:
                node, size = _scalar(event), 1
        if size > max(UNFOLDED_CAP, UNFOLDED_RATIO * self._written):
            raise _refused(
                event, "Its aliases unfold to more than any manifest needs.", "yaml-alias-bomb"
            )
        if event.anchor:
            self._anchored[event.anchor] = (node, size)
        return node, size

    def _check(self, event: Any, depth: int) -> None:
        self._written += 1
        if event.tag is not None:
            what = f"The tag {shown(event.tag)} is not read: a manifest holds only plain text."
            raise _refused(event, what, "yaml-tag", "Take the tag away.")
        if depth > DEEPEST:
            raise _refused(event, "It is nested too deep.", "yaml-too-deep")

    def _alias(self, event: Any) -> tuple[Node, int]:
        try:
            return self._anchored[event.anchor]
        except KeyError:
            what = f"The alias *{event.anchor} has no anchor before it."
            raise _refused(event, what, "yaml-alias-unknown") from None

    def _sequence(self, depth: int) -> tuple[Items, int]:
        items, size = Items(values=[], lines=[]), 1
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            node, more = self._node(event, depth + 1)
            items.values.append(node)
            items.lines.append(_line(event))
            size += more
        return items, size

    def _mapping(self, start: Any, depth: int) -> tuple[Keys, int]:
        keys, size = Keys(line=_line(start), values={}, lines={}), 1
        merged: list[Node] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, _ = self._node(event, depth + 1)
            node, more = self._node(next(self._events), depth + 1)
            size += more
            if key == "<<":
                merged += node.values if isinstance(node, Items) else [node]
            else:
                self._enter(keys, key, node, event)
        for base in merged:
            if isinstance(base, Keys):
                keys.values.update({k: v for k, v in base.values.items() if k not in keys.values})
        return keys, size

    def _enter(self, keys: Keys, key: Node, node: Node, event: Any) -> None:
        if not isinstance(key, str):
            raise _refused(event, "A key is a list or a mapping.", "yaml-key")
        if key in keys.values:
            keys.twice.append(key)
            self._found.append(_twice(self._file, key, keys.line_of(key), _line(event)))
            return
        keys.values[sys.intern(key)] = node
        if (line := _line(event)) != keys.line:
            keys.lines[sys.intern(key)] = line


def _scalar(event: Any) -> str:
    is_plain = event.implicit[0]
    return "" if is_plain and event.value in _NOTHING else str(event.value)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _twice(file: str, key: str, first: int, line: int) -> Fault:
    return Fault(
        file=file,
        line=line,
        column=key,
        code="key-twice",
        message=f"The key {shown(key)} is there already, in line {first}.",
        advice="Keep one of them.",
    )


def _refused(event: Any, message: str, error: str, advice: str = "") -> Unreadable:
    return Unreadable(message, error=error, advice=advice, line=_line(event))


def _does_not_parse(error: yaml.YAMLError) -> Unreadable:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is no YAML"
    return Unreadable(
        f"The YAML does not parse: {reason}.",
        error="yaml-not-parsed",
        advice="Put a text that holds ': ' or begins with a symbol between quotes.",
        line=mark.line + 1 if mark else 0,
    )
