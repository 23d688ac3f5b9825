"""Which faults strike, and when: rules from a plan file or the admin API, drawn from a seed.

A draw depends on the seed, the rule, the request's body and how often the rule has met it: not
on the order in which requests happen to arrive, so a plan strikes the same rows again.
"""

import hashlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

import reelbatch.emulator.faults  # noqa: F401  (its import fills FAULTS)
from reelbatch.emulator.faults.moments import Call, Moment
from reelbatch.emulator.faults.registry import FAULTS, Fault
from reelbatch.emulator.submission import Submission
from reelbatch.emulator.wire import Answer


class Rule(BaseModel):
    """One line of a plan: a fault, when it strikes, with which parameters."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    fault: str
    probability: float = Field(default=1.0, ge=0, le=1)
    nth: int | list[int] | None = None
    first: int | None = None
    times: int | None = None
    between: tuple[float, float] | None = None
    prompt: str | None = None
    endpoint: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict, alias="with")

    def model_post_init(self, context: Any) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"no fault '{self.fault}'; `--list-faults` shows them all")
        FAULTS[self.fault].check(self.parameters)

    def concerns(self, submission: Submission | None) -> bool:
        if self.prompt is None and self.endpoint is None:
            return True
        if submission is None:
            return False
        right_prompt = self.prompt is None or self.prompt in submission.prompt
        return right_prompt and self.endpoint in (None, submission.endpoint)


class Plan(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    faults: list[Rule] = Field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> "Plan":
        import yaml

        return cls.model_validate(yaml.safe_load(path.read_text()) or {})


class ActiveRule:
    def __init__(self, rule: Rule, number: int, seed: int) -> None:
        self.rule = rule
        self.number = number
        self.fault: Fault = FAULTS[rule.fault]
        self.strikes = 0
        self._seed = seed
        self._since = time.monotonic()
        self._met: Counter[str] = Counter()

    def luck(self, submission: Submission | None) -> Random | None:
        """The dice of a strike, or None when it does not strike this time."""
        rule = self.rule
        if not rule.concerns(submission) or not self._is_time():
            return None
        body = submission.body_sha256 if submission else ""
        self._met[body] += 1
        dice = Random(self._occasion(body))
        missed = dice.random() >= rule.probability
        if missed or not self._is_turn(self._met[body], self._met.total()):
            return None
        self.strikes += 1
        return dice

    def _occasion(self, body: str) -> bytes:
        met = 1 if self.fault.moment == "record" else self._met[body]
        words = f"{self._seed}/{self.rule.fault}/{body}/{met}"
        return hashlib.sha256(words.encode()).digest()

    def _is_time(self) -> bool:
        if self.rule.between is None:
            return True
        start, end = self.rule.between
        return start <= time.monotonic() - self._since < end

    def _is_turn(self, met_this_body: int, met: int) -> bool:
        rule = self.rule
        turns = [rule.nth] if isinstance(rule.nth, int) else rule.nth
        return (
            (turns is None or met in turns)
            and (rule.first is None or met_this_body <= rule.first)
            and (rule.times is None or self.strikes < rule.times)
        )

    def shown(self) -> dict[str, Any]:
        rule = self.rule.model_dump(by_alias=True, exclude_defaults=True)
        return {"id": self.number, **rule, "strikes": self.strikes}


class Faults:
    def __init__(self, plan: Plan) -> None:
        self.seed = plan.seed
        self.active: list[ActiveRule] = []
        self._numbers = itertools.count(1)
        for rule in plan.faults:
            self.switch_on(rule)

    def switch_on(self, rule: Rule) -> ActiveRule:
        active = ActiveRule(rule, next(self._numbers), self.seed)
        self.active.append(active)
        return active

    def switch_off(self, number: int | None = None) -> None:
        """One rule by its id, or all of them."""
        self.active = [rule for rule in self.active if number not in (None, rule.number)]

    async def around(self, moment: Moment, call: Call) -> Response:
        """The first fault that strikes answers the call; else it proceeds."""
        for rule, luck in self._striking(moment, call.submission):
            answer: Response = await rule.fault.strike(call, **self._arguments(rule, luck))
            return answer
        return await call.proceed()

    async def answer(self, moment: Moment, subject: Any) -> Answer | None:
        """The first fault that strikes gives the answer of a run, if any."""
        for rule, luck in self._striking(moment, subject.submission):
            answer: Answer = await rule.fault.strike(subject, **self._arguments(rule, luck))
            return answer
        return None

    def touch(self, moment: Moment, subject: Any) -> None:
        """Every fault that strikes changes the subject."""
        for rule, luck in self._striking(moment, subject.submission):
            rule.fault.strike(subject, **self._arguments(rule, luck))

    def _striking(
        self, moment: Moment, submission: Submission | None
    ) -> Iterator[tuple[ActiveRule, Random]]:
        for rule in self.active:
            if rule.fault.moment == moment:
                luck = rule.luck(submission)
                if luck is not None:
                    yield rule, luck

    def _arguments(self, rule: ActiveRule, luck: Random) -> dict[str, Any]:
        arguments = {**rule.fault.parameters, **rule.rule.parameters}
        return {**arguments, "luck": luck} if rule.fault.wants_luck else arguments
