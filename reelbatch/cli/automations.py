"""Prefect's automations that tell of our runs: installed by name, so twice changes nothing.

They live in the Prefect server, and so does the address, as a secret of a notification block.
What is told is in flows/automations.yaml. One that somebody paused on Prefect's page stays so.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import PrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_UI_URL

from reelbatch.cli.alert_channel import FORMS, Channel
from reelbatch.errors import ReelbatchError

BLOCK = "reelbatch-alerts"


@dataclass(frozen=True, kw_only=True)
class Installed:
    """How many automations an installation found in which state."""

    new: int
    changed: int
    alike: int


async def install(channel: Channel) -> Installed:
    """Save the address, then each automation, unless it is there and alike."""
    async with _prefect() as client:
        block_id = await _block(channel).asave(BLOCK, overwrite=True, client=client)
        wanted = automations(block_id, str(PREFECT_UI_URL.value()).rstrip("/"))
        found = [await _install(client, one) for one in wanted]
    return Installed(
        new=found.count("new"), changed=found.count("changed"), alike=found.count("alike")
    )


async def remove_all() -> int:
    """Take automations and address away; returns how many automations there were."""
    async with _prefect() as client:
        names = [one["name"] for one in _file()]
        found = [one for name in names for one in await client.read_automations_by_name(name)]
        for one in found:
            await client.delete_automation(one.id)
        await _forget_address(client)
    return len(found)


async def send_test(channel: Channel) -> None:
    """One message, from this machine. Raises ReelbatchError, without the address."""
    try:
        await _block(channel).anotify("What becomes of your runs will be told here.", "Reelbatch")
    except httpx.HTTPStatusError as error:
        raise ReelbatchError(
            f"The webhook answers {error.response.status_code}.", advice="Look at its address."
        ) from None
    except httpx.HTTPError as error:
        raise ReelbatchError(
            f"The webhook cannot be reached ({type(error).__name__}).",
            advice="Look at its address.",
        ) from None


def automations(block_id: UUID, ui_url: str) -> list[AutomationCore]:
    """Those of the file, with the block that sends and the page that links lead to."""
    text = json.dumps(_file())
    text = text.replace("BLOCK_ID", str(block_id)).replace("UI_URL", json.dumps(ui_url)[1:-1])
    return [AutomationCore.model_validate(one) for one in json.loads(text)]


def _file() -> Any:
    import flows

    path = Path(next(iter(flows.__path__))) / "automations.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["automations"]


async def _install(client: PrefectClient, wanted: AutomationCore) -> str:
    found = await client.read_automations_by_name(wanted.name)
    for other in found[1:]:
        await client.delete_automation(other.id)
    if not found:
        await client.create_automation(wanted)
        return "new"
    kept = wanted.model_copy(update={"enabled": found[0].enabled})
    if _content(kept) == _content(found[0]):
        return "alike"
    await client.update_automation(found[0].id, kept)
    return "changed"


def _content(automation: AutomationCore) -> dict[str, Any]:
    """Without what the server adds."""
    return automation.model_dump(include=set(AutomationCore.model_fields))


def _block(channel: Channel) -> CustomWebhookNotificationBlock:
    """Prefect's page shows a block's `url` in clear, and its `secrets` not."""
    return CustomWebhookNotificationBlock(
        name="Reelbatch",
        url="{{ url }}",
        json_data=FORMS[channel.form],
        secrets={"url": channel.url},
    )


async def _forget_address(client: PrefectClient) -> None:
    slug = CustomWebhookNotificationBlock.get_block_type_slug()
    try:
        document = await client.read_block_document_by_name(BLOCK, slug, include_secrets=False)
    except ObjectNotFound:
        return
    await client.delete_block_document(document.id)


@asynccontextmanager
async def _prefect() -> AsyncIterator[PrefectClient]:
    """What goes wrong on the way is a sentence; an answer may repeat the address."""
    try:
        async with get_client() as client:
            yield client
    except httpx.HTTPStatusError as error:
        raise _trouble(f"Prefect answers {error.response.status_code}") from None
    except httpx.HTTPError as error:
        raise _trouble(f"Prefect cannot be reached ({type(error).__name__})") from None


def _trouble(words: str) -> ReelbatchError:
    return ReelbatchError(f"{words}.", advice="See what `reelbatch doctor` says of it.")
