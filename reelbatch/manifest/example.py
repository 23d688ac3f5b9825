"""The manifest that `reelbatch init --example` writes: short, commented, sound as it is."""

from __future__ import annotations

from importlib.resources import files


def example_manifest() -> str:
    return files("reelbatch.manifest").joinpath("example.yaml").read_text(encoding="utf-8")
