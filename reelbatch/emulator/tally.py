"""Counts of what happened, for tests: above all, how often each body was accepted."""

from collections import Counter


class Tally:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.calls: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.webhooks: Counter[str] = Counter()

    def shown(self) -> dict[str, object]:
        again = sum(times - 1 for times in self.accepted.values())
        return {
            "accepted": {
                "total": self.accepted.total(),
                "by_body": dict(self.accepted),
                "duplicates": again,
            },
            "calls": dict(self.calls),
            "uploads": self.calls["upload"],
            "webhooks": dict(self.webhooks),
        }
