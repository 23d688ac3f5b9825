"""The `reelbatch` command: one file a command, nothing heavy imported before it is needed."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line; every refusal is a sentence on stderr and an exit status."""
    from reelbatch.cli.app import app
    from reelbatch.cli.status_codes import status_of
    from reelbatch.errors import ReelbatchError

    signal.signal(signal.SIGTERM, _interrupted)
    try:
        app()
    except ReelbatchError as error:
        print(str(error), file=sys.stderr)
        sys.exit(status_of(error))
    except KeyboardInterrupt:
        print("Interrupted. Nothing is lost: run again to carry on.", file=sys.stderr)
        sys.exit(4)
    except BrokenPipeError:
        sys.exit(1)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM is a Ctrl-C: before a run has begun, nothing was submitted."""
    raise KeyboardInterrupt
