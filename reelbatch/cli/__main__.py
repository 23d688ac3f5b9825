"""`python -m reelbatch.cli` is `reelbatch`."""

from reelbatch.cli import main

main()
