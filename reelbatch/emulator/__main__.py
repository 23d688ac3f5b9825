"""`python -m reelbatch.emulator`."""

import typer

from reelbatch.emulator.command import emulator

if __name__ == "__main__":
    typer.run(emulator)
