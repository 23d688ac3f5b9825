"""Whether fal's webhooks would arrive: fal follows no redirect, and drops private targets.

A call of ours has no signature, so our own receiver refuses it; that is how it is known.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import httpx

from reelbatch.config import Settings, is_loopback
from reelbatch.fal.jwks import KeyRing
from reelbatch.media.places import is_public, resolve_by_dns
from reelbatch.run.checkup.check import Found, bad, ok, skipped
from reelbatch.run.unwaited import in_thread
from reelbatch.urls import without_query

PATIENCE_SECONDS = 4.0
NOBODYS_TOKEN = "reelbatch-doctor"
NOT_SET = "REELBATCH_WEBHOOK_URL is not set; runs poll."
REFUSED_BY_US = (401, {"status": "not verified"})
FORWARD = "Forward POST /webhooks/fal/ to `reelbatch serve` (README, In operation)."


async def address(settings: Settings) -> Found:
    """Where fal would deliver to: found by name, public, answered by our own receiver."""
    if settings.webhook_url is None:
        return skipped(NOT_SET)
    return await _private(settings) or await _receiver(settings.webhook_url)


async def signatures(settings: Settings) -> Found:
    """The keys fal signs with; a receiver without them refuses every call."""
    if settings.webhook_url is None:
        return skipped(NOT_SET)
    async with _client(settings.jwks_url) as http:
        count = len(await KeyRing(settings.jwks_url, http).keys())
    keys = "key" if count == 1 else "keys"
    return ok(f"{without_query(settings.jwks_url)} has {count} {keys} to verify webhooks with.")


async def _private(settings: Settings) -> Found | None:
    """Why fal would not even try; an emulator on this machine delivers to it."""
    url = urlsplit(settings.webhook_url or "")
    host = url.hostname or ""
    if settings.on_loopback and is_loopback(url.geturl()):
        return None
    try:
        found = await in_thread(lambda: resolve_by_dns(host, url.port or 443))
    except OSError:
        return bad(f"{host} is not found by name.", "Make a public DNS entry for it.")
    private = [text for text in found if not is_public(ipaddress.ip_address(text))]
    if private:
        return bad(
            f"{host} leads to {private[0]}, which is not public: fal drops such webhooks.",
            "Give `reelbatch serve` a public https address, by a proxy or a tunnel.",
        )
    return None


async def _receiver(base: str) -> Found:
    shown = without_query(base)
    async with _client(base) as http:
        try:
            answer = await http.post(f"{base}/webhooks/fal/{NOBODYS_TOKEN}", json={})
            if wrong := _not_ours(answer, shown):
                return wrong
            return await _health(http, base, shown)
        except httpx.HTTPError as error:
            return bad(f"{shown} does not answer ({type(error).__name__}).", FORWARD)


def _not_ours(answer: httpx.Response, shown: str) -> Found | None:
    """What is wrong with an answer that is not our receiver's 401."""
    if (answer.status_code, _json(answer)) == REFUSED_BY_US:
        return None
    if answer.is_redirect or 300 <= answer.status_code < 400:
        return bad(
            f"{shown} redirects ({answer.status_code}), and fal follows no redirect.",
            "Set REELBATCH_WEBHOOK_URL to the address behind it: https, host and path exact.",
        )
    if answer.status_code in (401, 403):
        return bad(f"{shown} lets nobody in without a login.", f"fal has none. {FORWARD}")
    if answer.status_code >= 500:
        return bad(f"{shown} has no receiver behind it ({answer.status_code}).", FORWARD)
    return bad(f"{shown} is answered by something else ({answer.status_code}).", FORWARD)


async def _health(http: httpx.AsyncClient, base: str, shown: str) -> Found:
    """Its own word, where the proxy forwards it; only the webhooks need to be public."""
    told = _json(await http.get(f"{base}/healthz"))
    if isinstance(told, dict) and told.get("status") == "unwell":
        reason = str(told.get("reason", "")).rstrip(".")
        return bad(
            f"{shown} is reached, and its receiver is unwell: {reason}.", "Look at its ledger."
        )
    return ok(f"{shown} is reached: an unsigned call was refused there, as it should be.")


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=not is_loopback(url))


def _json(answer: httpx.Response) -> object:
    try:
        found: object = answer.json()
    except ValueError:
        return None
    return found
