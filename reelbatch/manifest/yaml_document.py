"""A YAML manifest: what it says about itself, its rows, and the files it includes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from decimal import Decimal

from reelbatch.manifest.document import Document
from reelbatch.manifest.encoding import encoding_said
from reelbatch.manifest.faults import Unreadable, shown
from reelbatch.manifest.keyed import KeyedRows, keyed_rows
from reelbatch.manifest.names import unsafe_because
from reelbatch.manifest.places import Read, Source
from reelbatch.manifest.rows import Fault
from reelbatch.manifest.yaml_nodes import Items, Keys, compose
from reelbatch.manifest.yaml_rows import YamlRows
from reelbatch.money import usd

KNOWN_KEYS = ("name", "archive", "budget_usd", "defaults", "rows", "include", "matrix")


def yaml_document(source: Source, read: Read, found: list[Fault]) -> Document:
    """The document of a YAML source; a bare list is its rows. Raises Unreadable."""
    text = source.content.decode(encoding_said(source.content, source.file, found).name)
    root = compose(text, file=source.file, found=found)
    if root is None:
        raise _empty()
    if isinstance(root, Items):
        root = Keys(line=1, values={"rows": root}, lines={})
    if isinstance(root, str):
        raise _no_mapping()
    rows = keyed_rows(source.file, source.folder, found)
    head = _Head(source=source, root=root, rows=rows)
    head.check_keys()
    return Document(
        name=head.name(),
        archive=head.text("archive") or None,
        budget_usd=head.budget(),
        rows=YamlRows(source=source, read=read, root=root, rows=rows).all(),
    )


@dataclass(frozen=True, kw_only=True)
class _Head:
    """What a YAML manifest says about itself."""

    source: Source
    root: Keys
    rows: KeyedRows

    def check_keys(self) -> None:
        for key in self.root.values:
            if key not in KNOWN_KEYS:
                line = self.root.line_of(key)
                close = difflib.get_close_matches(key, KNOWN_KEYS, n=1)
                advice = f"Did you mean {close[0]!r}?" if close else f"Use {', '.join(KNOWN_KEYS)}."
                self.rows.wrong(line, "key-unknown", f"A manifest has no {shown(key)}.", advice)

    def text(self, key: str) -> str:
        value = self.root.values.get(key, "")
        if isinstance(value, str):
            return value.strip()
        self.wrong(key, "not-single", f"{key} is one text, not a list or mapping.")
        return ""

    def name(self) -> str:
        """The batch's name; it may hold `{date}`, which whoever runs it fills in."""
        name = self.text("name")
        if name and (reason := unsafe_because(name.replace("{date}", "2026-01-01"))):
            self.wrong("name", "unsafe", f"The name {shown(name)} {reason}.", "It is a folder.")
            return self.source.stem
        return name or self.source.stem

    def budget(self) -> Decimal | None:
        text = self.text("budget_usd")
        if not text:
            return None
        try:
            budget = usd(text)
        except (ValueError, ArithmeticError):
            budget = Decimal(0)
        if budget > 0:
            return budget
        self.wrong("budget_usd", "invalid", f"The budget {shown(text)} is no amount in dollars.")
        return None

    def wrong(self, key: str, what: str, message: str, advice: str = "Write one.") -> None:
        code = f"{key.replace('_', '-')}-{what}"
        self.rows.wrong(self.root.line_of(key), code, message, advice)


def _empty() -> Unreadable:
    return Unreadable(
        "The manifest is empty.",
        error="manifest-empty",
        advice="`reelbatch init --example` writes a first one to edit.",
    )


def _no_mapping() -> Unreadable:
    return Unreadable(
        "The YAML is one text, not a manifest.",
        error="yaml-not-mapping",
        advice='Write "rows:" and below it "- prompt: ..." for every video.',
        line=1,
    )
