"""Settings, read once by each entry point: flag, environment, ./reelbatch.toml, default.

`read_settings` is the only place that looks at the environment. A manifest's own
`archive` and `budget_usd` stand between flag and environment (`for_manifest`).
"""

from __future__ import annotations

import ipaddress
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from reelbatch.errors import Refused

IMAGE_CAP_BYTES = 20 * 1024 * 1024
ROW_CAP_BYTES = 1024 * 1024
DOWNLOAD_CAP_BYTES = 200 * 1024 * 1024

REHEARSAL = "emulated"
"""The identity of a fal that costs nothing."""

MOST_IN_FLIGHT = 5000


def _auto_or_number(value: object) -> object:
    text = str(value).strip()
    if text == "auto":
        return text
    if not text.isdecimal() or not 1 <= int(text) <= MOST_IN_FLIGHT:
        raise ValueError(f"must be auto, or a number from 1 to {MOST_IN_FLIGHT}")
    return int(text)


InFlight = Annotated[
    Literal["auto"] | Annotated[int, Field(ge=1, le=MOST_IN_FLIGHT)],
    BeforeValidator(_auto_or_number),
]
Positive = Annotated[float, Field(gt=0)]
Level = Literal["debug", "info", "warning", "error"]
Dollars = Annotated[Decimal, Field(gt=0)]


class Settings(BaseSettings):
    """Everything a run can be told from outside, with the defaults of the README."""

    model_config = SettingsConfigDict(
        env_prefix="REELBATCH_", toml_file="reelbatch.toml", extra="ignore", frozen=True
    )

    fal_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("fal_key", "FAL_KEY")
    )
    fal_queue_url: str = "https://queue.fal.run"
    fal_rest_url: str = "https://rest.fal.ai"
    fal_cdn_url: str = "https://v3.fal.media"
    fal_api_url: str = "https://api.fal.ai/v1"
    fal_media_hosts: str | None = None
    account: str = "default"
    archive: str = "./archive"
    ledger: str = ""
    max_in_flight: InFlight = "auto"
    submit_rate: Positive | None = None
    budget: Dollars | None = None
    budget_per_day: Dollars | None = None
    price: Dollars | None = None
    collect: Literal["stream", "poll", "webhook"] = "stream"
    webhook_url: str | None = None
    webhook_host: str = "127.0.0.1"
    webhook_port: Annotated[int, Field(ge=0, le=65535)] = 8700
    webhook_jwks_url: str | None = None
    start_timeout: Annotated[float, Field(gt=0.1)] = 7200.0
    run_timeout: Positive = 1800.0
    in_doubt_grace: Annotated[float, Field(ge=0)] = 900.0
    locked_wait: Annotated[float, Field(ge=0)] = 0.0
    log_level: Annotated[Level, BeforeValidator(lambda word: str(word).lower())] = "info"
    alerts_url: SecretStr | None = None
    emulated: bool = False
    """Set by `--emulated`: the emulator of this run, at whatever port, is one account."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("fal_key", mode="before")
    @classmethod
    def _strip_key(cls, value: Any) -> Any:
        """A trailing newline in the key gives 401 at fal (fal.md, section 2)."""
        return (value.strip() or None) if isinstance(value, str) else value

    @field_validator(
        "fal_queue_url",
        "fal_rest_url",
        "fal_cdn_url",
        "fal_api_url",
        "webhook_url",
        "webhook_jwks_url",
    )
    @classmethod
    def _https_or_loopback(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not is_https(value) and not is_loopback(value):
            raise ValueError("must be https (http is for loopback only)")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _webhooks_have_a_target(self) -> Settings:
        if self.collect == "webhook" and self.webhook_url is None:
            raise ValueError(
                "REELBATCH_COLLECT=webhook wants REELBATCH_WEBHOOK_URL, the public address of "
                "`reelbatch serve`"
            )
        return self

    @property
    def on_loopback(self) -> bool:
        """Whether fal is an emulator on this machine."""
        return is_loopback(self.fal_queue_url)

    @property
    def queue_identity(self) -> str:
        """Which fal is asked, as fingerprints and accounts know it."""
        return REHEARSAL if self.emulated else self.fal_queue_url

    @property
    def account_id(self) -> str:
        """Limits, pace, parking and the day's budget belong to it; a new key changes nothing."""
        return f"{self.queue_identity}#{self.account}"

    @property
    def pace_per_second(self) -> float | None:
        """Submissions a second for the account; None is unlimited."""
        return self.submit_rate or (None if self.on_loopback else 10.0)

    @property
    def jwks_url(self) -> str:
        """Where fal publishes the keys it signs webhooks with."""
        return self.webhook_jwks_url or f"{self.fal_rest_url}/.well-known/jwks.json"

    @property
    def ledger_url(self) -> str:
        return self.ledger or f"sqlite:///{Path.home() / '.reelbatch' / 'ledger.db'}"

    @property
    def media_hosts(self) -> tuple[str, ...]:
        """Who we may download videos from: exact hosts, or `*.suffix`."""
        if self.fal_media_hosts:
            return tuple(host.strip().lower() for host in self.fal_media_hosts.split(","))
        fal = ("*.fal.media", "fal.media", "storage.googleapis.com")
        return (*fal, "127.0.0.1", "localhost", "::1") if self.on_loopback else fal


def is_https(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname)


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine, by name or address."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_settings(**flags: Any) -> Settings:
    """Settings with these flags on top; flags that are None were not given.

    Raises Refused with one line for each setting that cannot be used.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        # No variable may say that real money is a rehearsal.
        return Settings(**given).model_copy(update={"emulated": bool(flags.get("emulated"))})
    except ValidationError as error:
        raise Refused(f"{_faults(error)}.", advice="See the README's table of settings.") from None


def for_manifest(
    settings: Settings,
    flags: dict[str, Any],
    *,
    archive: str | None,
    budget_usd: Decimal | None,
) -> Settings:
    """One manifest's settings: its archive unless a flag says otherwise, the smaller budget."""
    changes: dict[str, Any] = {}
    if archive and flags.get("archive") is None and not settings.emulated:
        changes["archive"] = archive
    budgets = [budget for budget in (settings.budget, budget_usd) if budget is not None]
    if budgets:
        changes["budget"] = min(budgets)
    return settings.model_copy(update=changes)


def _faults(error: ValidationError) -> str:
    """Names and reasons only: a value might be a secret."""
    return "; ".join(
        ": ".join([*_names(fault["loc"]), fault["msg"].removeprefix("Value error, ")])
        for fault in error.errors(include_input=False, include_url=False)
    )


def _names(loc: tuple[int | str, ...]) -> list[str]:
    """The setting's variable; what concerns several settings names them itself."""
    return [_name(str(loc[0]))] if loc else []


def _name(field: str) -> str:
    return field.upper() if field.lower() == "fal_key" else f"REELBATCH_{field.upper()}"
