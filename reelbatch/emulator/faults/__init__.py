"""Everything that can go wrong at fal, one small function each, switched on by a plan."""

from reelbatch.emulator.faults import submitting

ALL = (submitting,)
