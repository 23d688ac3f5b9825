"""Everything that can go wrong at fal, one small function each, switched on by a plan.

A new fault is one more function in one of these files; nothing else has to know of it.
"""

from reelbatch.emulator.faults import (
    fetching,
    listing,
    notifying,
    polling,
    queueing,
    running,
    submitting,
    uploading,
)

ALL = (submitting, queueing, running, polling, fetching, uploading, notifying, listing)
