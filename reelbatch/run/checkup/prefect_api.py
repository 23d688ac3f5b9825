"""Prefect, asked over HTTP: the money path imports none of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import httpx

from reelbatch.config import Settings, is_loopback
from reelbatch.run.checkup.check import Found, bad, ok, skipped, warning
from reelbatch.run.passing import DEFAULT_ARCHIVE
from reelbatch.urls import without_query

PATIENCE_SECONDS = 4.0
DEPLOYMENT = "generate/generate"
NO_SERVER = "PREFECT_API_URL is not set: a run starts a server for its own lifetime."


@dataclass(frozen=True, kw_only=True)
class PrefectLooks:
    """The server a run reports to, and the workers behind our deployment."""

    settings: Settings
    environment: Mapping[str, str]

    @property
    def api_url(self) -> str:
        return self.environment.get("PREFECT_API_URL", "").rstrip("/")

    async def server(self) -> Found:
        if not self.api_url:
            return ok(NO_SERVER)
        shown = without_query(self.api_url)
        try:
            async with self._client() as http:
                health = await http.get(f"{self.api_url}/health")
                if health.status_code in (401, 403):
                    return bad(f"{shown} lets us not in.", "Set PREFECT_API_KEY.")
                if health.status_code != 200:
                    return bad(f"{shown} answers {health.status_code}.", _SERVER_ADVICE)
                theirs = _version_in(await http.get(f"{self.api_url}/admin/version"))
        except httpx.HTTPError as error:
            return bad(f"{shown} does not answer ({type(error).__name__}).", _SERVER_ADVICE)
        return _versions(shown, theirs, version("prefect"))

    async def worker(self) -> Found:
        """Whether somebody would take up what is scheduled, and knows where to write it down."""
        if not self.api_url:
            return skipped("Without a Prefect server there are no workers.")
        try:
            async with self._client() as http:
                pool = await self._pool(http)
                if pool is None:
                    return skipped(f"{DEPLOYMENT} is not deployed there.")
                online = await self._online(http, pool)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            return skipped(f"Prefect did not tell its workers ({type(error).__name__}).")
        return self._judged(pool, online)

    def _judged(self, pool: str, online: int) -> Found:
        if not online:
            return warning(
                f"No worker is online in the pool {pool!r}: what is scheduled waits.",
                f"prefect worker start --pool {pool}",
            )
        words = f"{online} worker{'s' if online > 1 else ''} online in the pool {pool!r}."
        if missing := self._missing():
            return warning(
                f"{words} Here {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} "
                "not set.",
                "A worker refuses the defaults: set them in its environment.",
            )
        return ok(words)

    def _missing(self) -> list[str]:
        """What a worker must be told, as seen from here."""
        given = {
            "FAL_KEY": self.settings.fal_key is not None,
            "REELBATCH_LEDGER": bool(self.settings.ledger),
            "REELBATCH_ARCHIVE": self.settings.archive != DEFAULT_ARCHIVE,
        }
        return [name for name, is_given in given.items() if not is_given]

    async def _pool(self, http: httpx.AsyncClient) -> str | None:
        answer = await http.get(f"{self.api_url}/deployments/name/{DEPLOYMENT}")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return str(answer.json()["work_pool_name"])

    async def _online(self, http: httpx.AsyncClient, pool: str) -> int:
        answer = await http.post(f"{self.api_url}/work_pools/{pool}/workers/filter", json={})
        answer.raise_for_status()
        return sum(1 for worker in answer.json() if worker.get("status") == "ONLINE")

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            timeout=PATIENCE_SECONDS,
            headers=_login(self.environment),
            trust_env=not is_loopback(self.api_url),
        )


_SERVER_ADVICE = "Start it, or unset PREFECT_API_URL: a run then starts one of its own."


def _login(environment: Mapping[str, str]) -> dict[str, str]:
    """As Prefect's own client does it: Cloud's key, or a server's auth string."""
    if key := environment.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if words := environment.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
    return {}


def _version_in(answer: httpx.Response) -> str | None:
    """Prefect Cloud does not say."""
    try:
        told: Any = answer.json()
    except ValueError:
        return None
    return told if answer.status_code == 200 and isinstance(told, str) else None


def _versions(shown: str, theirs: str | None, ours: str) -> Found:
    if theirs is None:
        return ok(f"{shown} answers.")
    if _release(theirs) < _release(ours):
        return warning(
            f"{shown} is Prefect {theirs}, older than ours ({ours}).",
            "Upgrade the server: an older one may not understand us.",
        )
    return ok(f"{shown} answers; it is Prefect {theirs}.")


def _release(text: str) -> list[int]:
    """3.8 of 3.8.8: within one, client and server understand each other."""
    return [int(part) for part in text.split(".")[:2] if part.isdecimal()]
