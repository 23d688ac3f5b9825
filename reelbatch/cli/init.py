"""`reelbatch init`: a first manifest to edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelbatch.errors import Refused


def init(
    example: Annotated[bool, typer.Option("--example", help="Write a first manifest.")] = False,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where to write it.")] = Path(
        "manifest.yaml"
    ),
) -> None:
    """Write a first manifest to edit; an existing file is never overwritten."""
    from reelbatch.manifest.example import example_manifest

    if not example:
        raise Refused("Say --example to get a first manifest.")
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(example_manifest())
    except FileExistsError:
        raise Refused(f"{to} is there already.", advice="Name another file with --to.") from None
    except OSError as error:
        raise Refused(f"{to} cannot be written: {error.strerror}.") from error
    typer.echo(f"{to} written. Edit it, then: reelbatch plan {to}")
