"""README's table of settings has every setting there is, with its default, and no other."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from reelbatch.config import Settings

README = Path("README.md")
ROW = re.compile(r"^\| (?P<names>`[A-Z][^|]*) \|(?P<default>[^|]*)\|", re.MULTILINE)
NOT_OURS = ("AWS_", "PREFECT_")
NOT_FROM_OUTSIDE = {"emulated"}

WORDS = {
    "FAL_KEY": "",
    "REELBATCH_LEDGER": "`~/.reelbatch/ledger.db`",
    "REELBATCH_SUBMIT_RATE": "10 (loopback: unlimited)",
    "REELBATCH_WEBHOOK_JWKS_URL": "from the REST URL",
    "REELBATCH_FAL_MEDIA_HOSTS": "fal's",
    "REELBATCH_LOCKED_WAIT": "0 (deployments: 6 h)",
}
"""Defaults that depend on something, as the table words them."""


def main() -> int:
    told, known = in_readme(README.read_text(encoding="utf-8")), in_code()
    faults = [f"{name} is not in the table." for name in sorted(known.keys() - told.keys())]
    faults += [f"{name} is no setting." for name in sorted(told.keys() - known.keys())]
    for name in sorted(known.keys() & told.keys()):
        if told[name] != known[name]:
            faults.append(f"the default of {name} is {known[name]!r}, not {told[name]!r}.")
    for fault in faults:
        print(f"{README}: {fault}")
    return 1 if faults else 0


def in_readme(text: str) -> dict[str, str]:
    """Each variable with its default; a row may have several of both."""
    found: dict[str, str] = {}
    for row in ROW.finditer(text):
        names = re.findall(r"`([A-Z][A-Z_*0-9]+)`", row["names"])
        defaults = row["default"].strip()
        each = defaults.split(", ") if ", " in defaults else [defaults] * len(names)
        found |= dict(zip(names, each, strict=True))
    return {name: word for name, word in found.items() if not name.startswith(NOT_OURS)}


def in_code() -> dict[str, str]:
    settings = Settings.model_fields.items()
    return {
        variable(name): WORDS.get(variable(name), worded(field.default))
        for name, field in settings
        if name not in NOT_FROM_OUTSIDE
    }


def variable(name: str) -> str:
    return "FAL_KEY" if name == "fal_key" else f"REELBATCH_{name.upper()}"


def worded(default: object) -> str:
    if default is None:
        return ""
    return f"`{default}`" if isinstance(default, str) else f"{default:g}"


if __name__ == "__main__":
    sys.exit(main())
