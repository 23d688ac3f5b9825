"""One answer of fal, read whole, before anybody has judged it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from reelbatch.errors import Transient
from reelbatch.fal.failures import Failure, classify
from reelbatch.fal.retry_after import retry_after_seconds


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Status, headers and body. `broken` says why the body is not all there, or is empty."""

    status: int
    headers: httpx.Headers
    body: bytes
    broken: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 and not self.broken

    @property
    def is_json(self) -> bool:
        """Whether it is an object, as all of fal's answers are."""
        try:
            return bool(self.json())
        except ValueError:
            return False

    @property
    def retry_after(self) -> float | None:
        """Seconds, where fal named them."""
        return retry_after_seconds(self.headers.get("retry-after"), self.headers.get("date"))

    def parsed(self) -> Any:
        """The body as JSON of any shape. Raises ValueError for a broken or other one."""
        if self.broken:
            raise ValueError(self.broken)
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("it is nested past reason") from error

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises ValueError for anything else."""
        content = self.parsed()
        if not isinstance(content, dict):
            raise ValueError("it is not a JSON object")
        return content

    def failure(self) -> Failure:
        return classify(self.status, self.headers, self.body)

    def transient(self, what: str) -> Transient:
        """This answer as a reason to ask again: `what` names what we wanted."""
        unusable = "with an answer we cannot use" if self.ok else self.failure().message
        words = self.broken or unusable
        message = f"fal did not give {what}: {self.status} {words}"
        return Transient(message, retry_after=self.retry_after)
