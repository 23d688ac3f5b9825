"""Prompts with Ovi's tags: composed from `speech` and `audio`, and looked over for slips.

Tags are `<S>speech<E>` and `<AUDCAP>sound<ENDAUDCAP>` (fal.md, section 14). What is odd is a
warning: the model takes any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reelbatch.fal.endpoints import Speech

_SPREADSHEET_ERRORS = re.compile(r"#(REF!|N/A|VALUE!|NAME\?|DIV/0!|NUM!|NULL!)")
_WORD = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_WORDS_A_CHARACTER = 0.6
"""Japanese and Chinese write no spaces: about six characters a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lint:
    code: str
    message: str
    advice: str


def composed(prompt: str, said: str, sound: str, speech: Speech) -> str:
    """The prompt with what is said and what is heard in the model's own tags."""
    parts = [prompt]
    for text, (opens, closes) in zip((said, sound), speech.tags, strict=True):
        if text:
            parts.append(text if text.startswith(opens) else f"{opens}{text}{closes}")
    return " ".join(part for part in parts if part)


def lint_prompt(prompt: str, speech: Speech) -> Iterator[Lint]:
    """What is probably a slip in a prompt."""
    if "<" in prompt:
        yield from _lint_tags(prompt, speech)
        yield from _lint_length(prompt, speech)
    if "#" in prompt and (slip := _SPREADSHEET_ERRORS.search(prompt)):
        yield Lint(
            code="spreadsheet-error",
            message=f"The prompt holds {slip.group()}, a spreadsheet's error.",
            advice="Repair the formula in the sheet.",
        )


def _lint_tags(prompt: str, speech: Speech) -> Iterator[Lint]:
    tags = re.findall("|".join(re.escape(tag) for pair in speech.tags for tag in pair), prompt)
    for opens, closes in speech.tags:
        if tags.count(opens) != tags.count(closes):
            yield Lint(
                code="tags-unbalanced",
                message=f"{opens} is there {tags.count(opens)} times, "
                f"{closes} {tags.count(closes)} times.",
                advice=f"Write {opens}...{closes}.",
            )
            return
    pairs = zip(tags[::2], tags[1::2], strict=True)
    if any(pair not in speech.tags for pair in pairs):
        yield Lint(
            code="tags-misordered",
            message="The tags open and close in the wrong order.",
            advice="Close each tag before the next one opens.",
        )


def _lint_length(prompt: str, speech: Speech) -> Iterator[Lint]:
    opens, closes = speech.tags[0]
    said = " ".join(re.findall(f"{re.escape(opens)}(.*?){re.escape(closes)}", prompt, re.DOTALL))
    seconds = _words(said) / speech.words_per_second
    if seconds > speech.clip_seconds:
        yield Lint(
            code="speech-too-long",
            message=f"The speech takes about {seconds:.0f} s; "
            f"the clip has {speech.clip_seconds:.0f} s.",
            advice=f"Say at most {int(speech.clip_seconds * speech.words_per_second)} words.",
        )


def _words(said: str) -> float:
    unspaced = _UNSPACED.findall(said)
    return len(_WORD.findall(_UNSPACED.sub(" ", said))) + _WORDS_A_CHARACTER * len(unspaced)
