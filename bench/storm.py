"""A storm as a plan: which faults blow when, and how each process ends; all drawn from one seed.

Calm and storm alternate every few seconds. Left out is what no program could mend: what destroys
a good video for good (`result_expired`, `missing_video`, `mute_video`, `wrong_file_size`,
`media_on_another_host`), and wrong bytes of the right length (`corrupt_media`), for fal names no
checksum. Whatever breaks results, downloads and lists passes with its spell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

Rule = dict[str, Any]
Ending = Literal["kill", "interrupt", "interrupt twice", "terminate", "freeze", "leave alone"]

AMBIGUOUS = (500, 502, 503, 408, 409)
RUNNER = (
    *("runner_disconnected", "runner_connection_error", "runner_incomplete_response"),
    *("runner_server_error", "internal_error", "runner_scheduling_failure", "startup_timeout"),
)

SLOTS, WINDOW, BUSY_SHARE = 8, 12, 0.5
"""The batch would take half of the storm, were it calm; not all of it is submitted at once."""

WINDS: dict[str, tuple[tuple[str, float, dict[str, tuple[Any, ...]]], ...]] = {
    "submit": (
        ("accept_then_drop", 0.15, {}),
        ("accept_then_hang", 0.03, {}),
        ("drop_before_accept", 0.15, {}),
        ("hang_before_accept", 0.03, {}),
        ("nginx_error", 0.15, {"status": (502, 503, 504), "accepted": (True, False)}),
        ("json_error", 0.15, {"status": AMBIGUOUS, "accepted": (True, False)}),
        ("garbled_answer", 0.1, {}),
        ("empty_answer", 0.1, {}),
        ("answer_without_id", 0.1, {}),
        ("slow_answer", 0.2, {"seconds": (0.3, 1.0, 3.0)}),
        ("answer_after_webhook", 0.2, {}),
        ("too_many_requests", 0.1, {"retry_after": (None, 1)}),
        ("locked", 0.05, {}),
        ("unauthorized", 0.03, {}),
        ("redirected", 0.02, {}),
        ("answer_names_another_host", 0.1, {}),
        ("headers_repeated", 0.1, {"status": AMBIGUOUS, "accepted": (True, False)}),
        ("json_error", 0.02, {"status": (400, 422)}),
    ),
    "enqueue": (
        ("stuck", 0.03, {}),
        ("other_peoples_queue", 0.2, {"ahead": (20, 60), "per_second": (20.0,)}),
        ("slow_service", 0.4, {"median": (1.0, 2.0), "sigma": (0.5,)}),
    ),
    "run": (
        ("runner_error", 0.15, {"type": RUNNER}),
        ("model_refusal", 0.03, {"billed": (None, True, False)}),
    ),
    "output": (("silent_video", 0.1, {}),),
    "status": (
        ("status_error", 0.3, {"status": (500, 503, 429)}),
        ("status_nginx", 0.3, {"status": (502, 504)}),
        ("status_garbled", 0.3, {}),
        ("status_locked", 0.2, {}),
        ("status_missing", 0.3, {}),
        ("status_dropped", 0.3, {}),
        ("status_hanging", 0.03, {}),
        ("status_redirected", 0.2, {}),
        ("status_headers_repeated", 0.2, {}),
    ),
    "stream": (
        ("stream_error", 0.3, {}),
        ("stream_headers_repeated", 0.1, {}),
        ("stream_broken", 0.5, {}),
        ("stream_hanging", 0.2, {}),
        ("stream_silent", 0.01, {}),
        ("stream_redirected", 0.2, {}),
    ),
    "result": (
        ("result_flake", 0.4, {"status": (500, 502), "html": (True, False)}),
        ("result_in_progress", 0.3, {}),
        ("result_missing", 0.3, {}),
        ("result_garbled", 0.3, {}),
        ("result_dropped", 0.3, {}),
        ("result_redirected", 0.3, {}),
        ("result_headers_repeated", 0.3, {"status": (500, 503)}),
    ),
    "unknown": (("unknown_nginx", 0.5, {"status": (502, 504)}),),
    "cancel": (("cancel_error", 0.5, {"done": (True, False)}), ("cancel_redirected", 0.3, {})),
    "media": (
        ("truncated_media", 0.3, {"honest": (True, False)}),
        ("html_media", 0.3, {}),
        ("wrong_content_type", 0.5, {}),
        ("empty_media", 0.3, {}),
        ("media_without_length", 0.5, {}),
        ("slow_media", 0.2, {"seconds": (0.5, 2.0)}),
        ("media_missing", 0.3, {}),
        ("media_error", 0.3, {"status": (503, 403, 429)}),
        ("media_dropped", 0.3, {}),
        ("media_redirected", 0.3, {}),
    ),
    "token": (
        ("token_error", 0.3, {"status": (500, 503)}),
        ("token_locked", 0.1, {}),
        ("token_redirected", 0.1, {}),
    ),
    "upload": (
        ("upload_error", 0.3, {"kept": (True, False)}),
        ("upload_dropped", 0.3, {}),
        ("upload_hanging", 0.02, {}),
        ("upload_without_url", 0.1, {}),
        ("upload_lost", 0.2, {}),
        ("upload_redirected", 0.2, {}),
    ),
    "webhook": (
        ("duplicate_webhook", 0.3, {"copies": (2, 5)}),
        ("late_webhook", 0.3, {"seconds": (1.0, 4.0)}),
        ("lost_webhook", 0.3, {}),
        ("bad_signature", 0.3, {}),
        ("stale_timestamp", 0.3, {}),
        ("tampered_body", 0.3, {}),
        ("null_payload", 0.3, {}),
    ),
    "history": (
        ("history_error", 0.5, {"status": (503, 429, 403)}),
        ("history_redirected", 0.3, {}),
    ),
    "record": (
        ("late_record", 0.5, {"seconds": (1.0, 2.0)}),
        ("record_defaults", 1.0, {}),
        ("record_without_input", 0.2, {}),
        ("clock_offset", 1.0, {"seconds": (-20.0, 20.0)}),
    ),
    "pricing": (
        ("unknown_price", 0.5, {}),
        ("pricing_error", 0.5, {"status": (403, 503)}),
        ("pricing_redirected", 0.3, {}),
    ),
    "billing": (("billing_error", 0.5, {}),),
}
"""By the moment they strike: fault, its share of the occasions, what its parameters may be."""


@dataclass(frozen=True, kw_only=True)
class Spell:
    """What blows for some seconds; without rules it is calm."""

    seconds: float
    rules: tuple[Rule, ...] = ()
    locked: bool = False


@dataclass(frozen=True, kw_only=True)
class Blow:
    """What happens to a process so many seconds after it is at work."""

    after_seconds: float
    ending: Ending
    frozen_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Storm:
    """Two storms with one seed and one length are the same storm."""

    seed: int
    seconds: float
    spells: tuple[Spell, ...] = field(init=False)
    lost: tuple[float, float] = field(init=False)
    """What fal's list never shows: here, as in life, all that was sent in a span of time."""
    loss_is_for_good: bool = field(init=False)
    by_webhook: bool = field(init=False)
    """Whether results are told by webhook too, not only asked for."""

    def __post_init__(self) -> None:
        luck = Random(f"weather {self.seed}")
        object.__setattr__(self, "spells", tuple(_spells(luck, self.seconds)))
        object.__setattr__(self, "lost", _lost(luck, self.seconds))
        object.__setattr__(self, "loss_is_for_good", self.seed % 3 == 0)
        object.__setattr__(self, "by_webhook", self.seed % 2 == 0)

    def loss(self, begun_seconds: float) -> Rule:
        """The rule of it, in a storm that begins so long after the emulator."""
        after, until = (begun_seconds + each for each in self.lost)
        return {"fault": "lost_records", "with": {"sent_after": after, "sent_until": until}}

    def blows(self, lane: int) -> Iterator[Blow]:
        """The fate of one process after the other."""
        luck = Random(f"blows {self.seed} {lane}")
        endings: tuple[Ending, ...] = (
            *("kill", "kill", "kill", "kill", "interrupt", "interrupt twice"),
            *("terminate", "freeze", "freeze", "leave alone"),
        )
        while True:
            ending = luck.choice(endings)
            frozen = luck.choice((0.5, 2.0, 12.0, 50.0)) if ending == "freeze" else 0.0
            yield Blow(after_seconds=luck.uniform(0.1, 6.0), ending=ending, frozen_seconds=frozen)


def _spells(luck: Random, seconds: float) -> Iterator[Spell]:
    """Calm and storm in turn, until the time is over."""
    while seconds > 0:
        calm = Spell(seconds=luck.uniform(0.5, 2.0))
        storm = Spell(
            seconds=luck.uniform(2.0, 6.0), rules=_rules(luck), locked=luck.random() < 0.15
        )
        seconds -= calm.seconds + storm.seconds
        yield from (calm, storm)


def _rules(luck: Random) -> tuple[Rule, ...]:
    """Up to three winds from some of the moments; where money is spent it always blows."""
    moments = {"submit", *luck.sample(sorted(WINDS), k=luck.randint(4, 9))}
    return tuple(
        _rule(luck, *wind)
        for moment in sorted(moments)
        for wind in luck.sample(WINDS[moment], k=min(len(WINDS[moment]), luck.randint(1, 3)))
    )


def _rule(luck: Random, fault: str, share: float, choices: dict[str, tuple[Any, ...]]) -> Rule:
    chosen = {name: luck.choice(values) for name, values in choices.items()}
    return {"fault": fault, "probability": share, "with": chosen}


def _lost(luck: Random, seconds: float) -> tuple[float, float]:
    """About half of the storm."""
    begins = luck.choice((0.0, luck.uniform(0.0, 0.6) * seconds))
    return begins, begins + luck.uniform(0.4, 0.6) * seconds
