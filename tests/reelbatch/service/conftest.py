"""A receiver over a real ledger, and somebody who signs like fal."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.routing import Route

from reelbatch.fal.jwks import KeyRing
from reelbatch.ledger import Ledger
from reelbatch.service.app import Service, handle_at
from reelbatch.service.figures import ServiceFigures
from reelbatch.service.receiver import Receiver

QUEUE_URL = "https://queue.fal.run"


@dataclass
class Signer:
    """fal's side: its key, what it publishes, and calls signed with it."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    asked: int = 0

    def publish(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        raw = self.key.public_key().public_bytes_raw()
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        return httpx.Response(200, json={"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]})

    def headers(self, request_id: str, body: bytes, *, age: float = 0) -> dict[str, str]:
        timestamp = str(int(time.time() - age))
        digest = hashlib.sha256(body).hexdigest()
        message = "\n".join((request_id, "user_1", timestamp, digest)).encode()
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": "user_1",
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": self.key.sign(message).hex(),
        }


@dataclass
class Door:
    """The receiver's routes, and calls to them as fal makes them."""

    http: httpx.AsyncClient
    signer: Signer
    receiver: Receiver

    async def call(
        self, token: str, request_id: str, *, body: bytes | None = None, **said: Any
    ) -> httpx.Response:
        content = body if body is not None else spoken(request_id, **said)
        headers = self.signer.headers(request_id, content)
        return await self.http.post(f"/webhooks/fal/{token}", content=content, headers=headers)


def spoken(request_id: str, **said: Any) -> bytes:
    good = {"video": {"url": "https://v3b.fal.media/files/b/1/out.mp4", "file_size": 9}, "seed": 7}
    return json.dumps(
        {"request_id": request_id, "gateway_request_id": request_id}
        | {"status": "OK", "payload": good}
        | said
    ).encode()


@pytest.fixture
async def door(ledger: Ledger) -> AsyncIterator[Door]:
    signer = Signer()
    async with httpx.AsyncClient(transport=httpx.MockTransport(signer.publish)) as keys:
        with ThreadPoolExecutor(1 if ledger.is_sqlite else 3) as threads:
            ring = KeyRing("https://rest.fal.ai/.well-known/jwks.json", keys)
            receiver = Receiver(ledger, ring, partial(handle_at, QUEUE_URL), None, threads)
            service = Service(receiver, ServiceFigures(ledger))
            app = Starlette(
                routes=[
                    Route("/webhooks/fal/{token}", service.webhook, methods=["POST"]),
                    Route("/healthz", service.health),
                    Route("/metrics", service.metrics),
                ]
            )
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://door") as http:
                yield Door(http, signer, receiver)
