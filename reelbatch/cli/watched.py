"""Run a command that ends when our stdin does: `python -I -S watched.py COMMAND...`

For programs that cannot watch their parent themselves. Only the standard library, without
site-packages: it costs 8 MB and 20 ms. Its parent must have given it a session of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

STDIN = 0
PATIENCE_SECONDS = 10.0


def main(command: list[str]) -> int:
    """Exit code of the command."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=end_with_parent, args=(child,), daemon=True).start()
    return child.wait()


def end_with_parent(child: subprocess.Popen[bytes]) -> None:
    """The parent holds the other end of stdin; it closes even when the parent is killed."""
    while os.read(STDIN, 4096):
        pass
    child.terminate()
    try:
        child.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
