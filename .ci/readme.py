"""README's help texts are what the commands print. `--write` makes them so.

A help text stands in the fenced block under its mark: `<!-- help: reelbatch run -->`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

README = Path("README.md")
BLOCK = re.compile(
    r"(?P<mark><!-- help: (?P<command>reelbatch[^>]*?) -->\n+```[a-z]*\n)(?P<help>.*?)(?P<end>```)",
    re.DOTALL,
)
MARK = re.compile(r"<!-- help:")
PLAIN = {"COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1", "TERM": "dumb"}


def main(write: bool) -> int:
    text = README.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    if len(blocks) != len(MARK.findall(text)):
        print(f"{README}: a help mark is not followed by a fenced block.")
        return 1
    if not blocks:
        print(f"{README} has no help block: `<!-- help: reelbatch run -->` and a fenced block.")
        return 1
    current = BLOCK.sub(with_help(rendered), text)
    if write:
        README.write_text(current, encoding="utf-8")
        return 0
    return report(blocks)


def report(blocks: list[re.Match[str]]) -> int:
    stale = [block["command"] for block in blocks if block["help"] != rendered(block["command"])]
    for command in stale:
        print(f"{README}: the help of `{command}` is not what it prints. Run: make readme")
    return 1 if stale else 0


def with_help(render: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
    return lambda block: block["mark"] + render(block["command"]) + block["end"]


def rendered(command: str) -> str:
    """What `COMMAND --help` prints at 80 columns without colour, trailing spaces gone."""
    program, *rest = shlex.split(command)
    executable = Path(sys.executable).with_name(program)
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    result = subprocess.run(
        [executable, *rest, "--help"],
        env={**keep, **PLAIN, "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8"},
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    return "\n".join(line.rstrip() for line in result.stdout.strip("\n").splitlines()) + "\n"


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
