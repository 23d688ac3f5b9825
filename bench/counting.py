"""What a storm left: from fal's own record of what it accepted, and from the files themselves.

*accepted*: submissions that fal took. *archived*: jobs whose video is there, byte for byte as fal
made it. *in doubt*: jobs held because nobody can tell whether they were accepted.
*duplicates*: submissions accepted while an earlier one for the same job was waiting, running or
good; after one that had failed, was cancelled or never started, asking again is no duplicate.
*lost*: jobs for which fal made a good video that is neither archived nor held in doubt, or whose
video, sidecar or line in the index is wrong.

A job is known by its prompt: each row of a storm has its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Submission = Mapping[str, Any]
"""As `/_emulator/submissions` shows it."""


@dataclass(frozen=True, kw_only=True)
class Score:
    accepted: int
    archived: int
    in_doubt: int
    duplicates: int
    lost: int

    @property
    def clean(self) -> bool:
        return self.duplicates == self.lost == 0

    def __str__(self) -> str:
        return (
            f"accepted {self.accepted}, archived {self.archived}, in doubt {self.in_doubt}, "
            f"duplicates {self.duplicates}, lost {self.lost}"
        )


def score(
    submissions: Sequence[Submission],
    *,
    archived: Collection[str],
    in_doubt: Collection[str] = (),
    damaged: Collection[str] = (),
) -> Score:
    """The collections hold prompts."""
    return Score(
        accepted=len(submissions),
        archived=len(set(archived)),
        in_doubt=len(set(in_doubt)),
        duplicates=len(list(duplicates(submissions))),
        lost=len(lost(submissions, archived=archived, in_doubt=in_doubt) | set(damaged)),
    )


def duplicates(submissions: Sequence[Submission]) -> Iterator[Submission]:
    """Those that were paid, or will be, although an earlier one was or would have been."""
    for ones in by_job(submissions).values():
        for n, one in enumerate(ones):
            if any(stood(earlier, at=sent_at(one)) for earlier in ones[:n]):
                yield one


def stood(earlier: Submission, *, at: datetime) -> bool:
    """Whether at that time it was open still, or good."""
    ended = earlier["ended_at"]
    return is_good(earlier) or ended is None or datetime.fromisoformat(ended) > at


def lost(
    submissions: Sequence[Submission], *, archived: Collection[str], in_doubt: Collection[str]
) -> set[str]:
    made = {prompt_of(one) for one in submissions if is_good(one)}
    return made - set(archived) - set(in_doubt)


def is_good(one: Submission) -> bool:
    return bool(one["status_code"] == 200)


def by_job(submissions: Sequence[Submission]) -> dict[str, list[Submission]]:
    """The submissions of each job, oldest first."""
    jobs = defaultdict(list)
    for one in sorted(submissions, key=sent_at):
        jobs[prompt_of(one)].append(one)
    return jobs


def prompt_of(one: Submission) -> str:
    return str(one["body"]["prompt"])


def sent_at(one: Submission) -> datetime:
    return datetime.fromisoformat(one["sent_at"])
