"""Webhooks: signed, delivered at least once, in no promised order (fal.md, section 7).

Our own guesses where the contract is silent: waits double from one second to five minutes, and
each attempt is signed anew.
"""

import asyncio
import base64
import hashlib
import ipaddress
import json
import socket
import time
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reelbatch.emulator.clock import now
from reelbatch.emulator.faults.moments import Delivery
from reelbatch.emulator.faults.plan import Faults
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.submission import Submission
from reelbatch.emulator.tally import Tally

FIRST_SECONDS, LATER_SECONDS = 15.0, 120.0
MOST_RETRIES = 31
LONGEST_WAIT_SECONDS = 300.0


class Webhooks:
    def __init__(self, settings: Settings, faults: Faults, tally: Tally, user_id: str) -> None:
        self.settings = settings
        self.faults = faults
        self.tally = tally
        self.user_id = user_id
        self.key = Ed25519PrivateKey.generate()
        self._forger = Ed25519PrivateKey.generate()
        self._http = httpx.AsyncClient(limits=httpx.Limits(max_connections=100))
        self._tasks: set[asyncio.Task[None]] = set()

    def jwks(self) -> dict[str, object]:
        x = base64.urlsafe_b64encode(self.key.public_key().public_bytes_raw()).rstrip(b"=")
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x.decode(), "kid": "emulated"}]}

    def send(self, submission: Submission) -> None:
        """Returns at once; deliveries go on in the background."""
        if submission.webhook is None:
            submission.webhook_tried.set()
            return
        task = asyncio.get_running_loop().create_task(self._deliver(submission, submission.webhook))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    async def _deliver(self, submission: Submission, url: str) -> None:
        if self.settings.drop_private_webhooks and await is_private(url):
            self.tally.webhooks["dropped"] += 1
            submission.webhook_tried.set()
            return
        for retry in range(MOST_RETRIES + 1):
            ended = await self._try(submission, url, FIRST_SECONDS if retry == 0 else LATER_SECONDS)
            submission.webhook_tried.set()
            if ended or self._is_over(submission):
                return
            wait = self.settings.webhook_retry_seconds * 2**retry
            await asyncio.sleep(min(wait, LONGEST_WAIT_SECONDS))

    def _is_over(self, submission: Submission) -> bool:
        ended = submission.ended_at or now()
        return (now() - ended).total_seconds() > self.settings.result_seconds

    async def _try(self, submission: Submission, url: str, within_seconds: float) -> bool:
        """True when there is nothing more to do: delivered, or refused for good."""
        delivery = Delivery(submission=submission, body=content(submission))
        self.faults.touch("webhook", delivery)
        await asyncio.sleep(delivery.delay_seconds)
        if delivery.lost:
            self.tally.webhooks["lost"] += 1
            return True
        ends = [await self._post(delivery, url, within_seconds) for _ in range(delivery.copies)]
        return any(ends)

    async def _post(self, delivery: Delivery, url: str, within_seconds: float) -> bool:
        body = json.dumps(delivery.body).encode()
        headers = self._signed(delivery, body)
        if delivery.tampered:
            body = body.replace(b'"status": "', b'"status":  "', 1)
        self.tally.webhooks["attempts"] += 1
        try:
            answer = await self._http.post(
                url, content=body, headers=headers, timeout=within_seconds
            )
        except (httpx.HTTPError, httpx.InvalidURL):
            self.tally.webhooks["failed"] += 1
            return False
        self.tally.webhooks["delivered" if answer.is_success else "failed"] += 1
        return answer.is_success or answer.is_redirect

    def _signed(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        key = self._forger if delivery.forged else self.key
        timestamp = str(int(time.time() - delivery.age_seconds))
        request_id = delivery.submission.request_id
        return {
            "Content-Type": "application/json",
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": self.user_id,
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": signature(key, request_id, self.user_id, timestamp, body),
        }


def signature(
    key: Ed25519PrivateKey, request_id: str, user_id: str, timestamp: str, body: bytes
) -> str:
    """Hex of Ed25519 over four lines: the ids, the time, and the body's sha256."""
    digest = hashlib.sha256(body).hexdigest()
    return key.sign("\n".join((request_id, user_id, timestamp, digest)).encode()).hex()


def content(submission: Submission) -> dict[str, object]:
    answer = submission.answer
    assert answer is not None
    ids = {
        "request_id": submission.request_id,
        "gateway_request_id": submission.gateway_request_id,
    }
    if answer.good:
        return {**ids, "status": "OK", "payload": answer.body}
    error = f"Invalid status code: {answer.status}"
    return {**ids, "status": "ERROR", "error": error, "payload": answer.body}


async def is_private(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(not ipaddress.ip_address(each[4][0]).is_global for each in found)
