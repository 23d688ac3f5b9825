"""The rows of a YAML manifest: its own, and those of the files it includes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from reelbatch.errors import Permanent, Transient
from reelbatch.manifest.expansion import MATRIX_CAP, Expansion
from reelbatch.manifest.faults import Unreadable, fault_of
from reelbatch.manifest.keyed import KeyedRows
from reelbatch.manifest.places import Read, Source, included
from reelbatch.manifest.plain import kind_of, plain_rows
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.yaml_nodes import Items, Keys, Node


@dataclass(frozen=True, kw_only=True)
class YamlRows:
    """One YAML manifest, while its rows are read."""

    source: Source
    read: Read
    root: Keys
    rows: KeyedRows

    def all(self) -> Iterator[RawRow]:
        """Rows written here, then those of included files, each expanded."""
        expansion = Expansion(defaults=self._defaults(), matrix=self._matrix())
        if expansion.combinations > MATRIX_CAP:
            what = f"The matrix makes {expansion.combinations} rows of each row."
            line = self.root.line_of("matrix")
            self.rows.wrong(line, "matrix-too-large", what, f"{MATRIX_CAP} is the most.")
            return
        for raw in self._own():
            yield from expansion.rows(raw, self.rows.found, is_template=True)
        for raw in self._included(expansion.supplied):
            yield from expansion.rows(raw, self.rows.found, is_template=False)

    def _own(self) -> Iterator[RawRow]:
        if "matrix" in self.root.values and not {"rows", "include"} & self.root.values.keys():
            yield self.rows.row({}, self.root.line_of("matrix"), {})
        for node, line in self._items("rows"):
            if isinstance(node, Keys):
                yield self._row(node)
            else:
                advice = 'Write "- prompt: ..." with one key for each column.'
                self.rows.wrong(line, "row-not-mapping", "The row has no columns.", advice)

    def _row(self, keys: Keys) -> RawRow:
        cells = {name: node for name, node in keys.values.items() if isinstance(node, str)}
        return self.rows.row(cells, keys.line, keys.lines, is_sound=self._is_sound(keys))

    def _defaults(self) -> RawRow:
        keys = self._mapping("defaults")
        if "id" in keys.values:
            what = "An id is one row's own and has no default."
            self.rows.wrong(keys.line_of("id"), "defaults-id", what, "Put it into the row.")
        return self._row(keys)

    def _matrix(self) -> dict[str, list[RawRow]]:
        keys = self._mapping("matrix")
        matrix = {}
        for written, node in keys.values.items():
            line = keys.line_of(written)
            values = node.values if isinstance(node, Items) else [node]
            cells = [Keys(line=line, values={written: value}, lines={}) for value in values]
            column = self.rows.columns.named(written, line)
            matrix[column.name] = [self._row(cell) for cell in cells]
        return matrix

    def _included(self, supplied: frozenset[str]) -> Iterator[RawRow]:
        for node, line in self._items("include"):
            if not isinstance(node, str) or not node:
                what = "An include is the name of one file."
                self.rows.wrong(line, "include-not-file", what, "Write a path.")
            elif source := self._source(node, line):
                yield from self._rows_of(source, supplied)

    def _source(self, reference: str, line: int) -> Source | None:
        try:
            source = self.read(included(reference, self.source))
        except (Permanent, Transient) as problem:
            file = self.source.file
            self.rows.found.append(fault_of(problem, about="include", file=file, line=line))
            return None
        if kind_of(source) != "yaml":
            return source
        what = f"{reference} is YAML, which is not included."
        self.rows.wrong(line, "include-yaml", what, "Include CSV, JSONL or Excel files.")
        return None

    def _rows_of(self, source: Source, supplied: frozenset[str]) -> Iterator[RawRow]:
        try:
            yield from plain_rows(source, supplied, self.rows.found)
        except Unreadable as problem:
            self.rows.found.append(fault_of(problem, about="", file=source.file, line=problem.line))

    def _items(self, key: str) -> Iterator[tuple[Node, int]]:
        """The items of a list, let go as they are read; one text stands for a list of one."""
        node, line = self.root.values.get(key, ""), self.root.line_of(key)
        if isinstance(node, Items):
            items, lines = deque(node.values), deque(node.lines)
            node.values.clear()
            while items:
                yield items.popleft(), lines.popleft()
        elif isinstance(node, Keys):
            what, advice = f"{key} is a list.", 'Begin each item with "- ".'
            self.rows.wrong(line, f"{key}-not-list", what, advice)
        elif node:
            yield node, line

    def _mapping(self, key: str) -> Keys:
        node, line = self.root.values.get(key, ""), self.root.line_of(key)
        if isinstance(node, Keys):
            return node
        if node:
            what, advice = f"{key} has no columns.", 'Write "column: value" below it.'
            self.rows.wrong(line, f"{key}-not-mapping", what, advice)
        return Keys(line=line, values={}, lines={})

    def _is_sound(self, keys: Keys) -> bool:
        """Whether each cell is there once and has one text; what is not becomes a fault."""
        several = [name for name, node in keys.values.items() if not isinstance(node, str)]
        for name in several:
            what = f"{name} has several values, a cell has one."
            line = keys.line_of(name)
            self.rows.wrong(line, "cell-not-single", what, "Write one text.")
        return not several and not keys.twice
