"""What `/metrics` shows: jobs by state, calls by outcome, money, silence. Read from the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reelbatch.ledger import Ledger, figures
from reelbatch.ledger.figures import Figures

FRESH_SECONDS = 10.0
"""Counting a million jobs takes a while: not more often than this."""


class LedgerFigures(Collector):
    """The ledger's own figures, each time somebody scrapes."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._read_at = float("-inf")
        self._last: Figures | None = None

    def collect(self) -> Iterator[Metric]:
        found = self._figures()
        jobs = GaugeMetricFamily("reelbatch_jobs", "Jobs by state.", labels=["state"])
        for state, n in found.jobs.items():
            jobs.add_metric([state], n)
        yield jobs
        attempts = GaugeMetricFamily(
            "reelbatch_attempts", "POSTs to fal by outcome.", labels=["outcome"]
        )
        for outcome, n in found.attempts.items():
            attempts.add_metric([outcome], n)
        yield attempts
        money = GaugeMetricFamily("reelbatch_usd", "Dollars spent and reserved.", labels=["kind"])
        money.add_metric(["spent"], float(found.spent_usd))
        money.add_metric(["reserved"], float(found.reserved_usd))
        yield money
        yield GaugeMetricFamily(
            "reelbatch_seconds_since_webhook",
            "Since the last verified webhook; NaN when there was none.",
            value=self._silence(found),
        )

    def _figures(self) -> Figures:
        if self._last is None or self._clock() - self._read_at > FRESH_SECONDS:
            self._last, self._read_at = figures.read(self._ledger), self._clock()
        return self._last

    def _silence(self, found: Figures) -> float:
        if found.last_webhook_at is None:
            return float("nan")
        return max(0.0, (datetime.now(UTC) - found.last_webhook_at).total_seconds())


class ServiceFigures:
    """Those, and how this receiver has answered."""

    def __init__(self, ledger: Ledger) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(LedgerFigures(ledger))
        self.answered = Counter(
            "reelbatch_webhooks",
            "Webhook calls by the answer they got.",
            ["status"],
            registry=self._registry,
        )

    def render(self) -> bytes:
        """Raises Transient where the ledger cannot be read."""
        return generate_latest(self._registry)
