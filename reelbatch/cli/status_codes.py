"""Exit statuses: a public contract, told by every help text."""

from __future__ import annotations

from reelbatch.errors import ReelbatchError, Refused

DONE, ERROR, REFUSED, PARTLY, STOPPED = range(5)

EPILOG = (
    "Exit status: 0 every row archived; 1 error; 2 refused at the start, nothing submitted; "
    "3 finished, some rows failed or are in doubt; 4 stopped early, the rest can be carried on."
)

LOOKING_EPILOG = "Exit status: 0 done; 1 error; 2 refused, with the reason."
"""Of commands that make no videos."""

RECONCILE_EPILOG = "Exit status: 0 nothing left over; 1 error; 2 refused; 3 something is left over."

DOCTOR_EPILOG = "Exit status: 0 nothing is bad; 1 something is, or an error; 2 refused."


def status_of(error: ReelbatchError) -> int:
    return REFUSED if isinstance(error, Refused) else ERROR
