"""Who may call, and what it costs: the key, the lock, the prices, the balance."""

import re
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response

from reelbatch.emulator.inputs import APPS, ENDPOINTS
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.wire import detail

EXHAUSTED = "Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
KEY = re.compile(r"Key [^:\s]+:\S+")


class Account:
    user_id = "user_emulated"

    def __init__(self, settings: Settings, only_key: str | None = None) -> None:
        self.settings = settings
        self.only_key = only_key
        self.locked_because: str | None = None
        self.spent_usd = Decimal(0)
        self.prices = dict.fromkeys(ENDPOINTS, Decimal("0.2"))

    @property
    def balance_usd(self) -> Decimal:
        return Decimal(str(self.settings.balance_usd)) - self.spent_usd

    def charge(self, endpoint: str) -> None:
        """An emptied account locks itself, as fal's does."""
        self.spent_usd += self.prices[endpoint]
        if self.balance_usd <= 0:
            self.locked_because = EXHAUSTED

    def refusal(self, request: Request, app: str | None = None) -> Response | None:
        """The 401 this caller's credentials deserve, if any."""
        given = request.headers.get("authorization")
        if given is None:
            return detail(401, no_key(app))
        if not KEY.fullmatch(given):
            return detail(
                401, "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."
            )
        if self.only_key is not None and given != f"Key {self.only_key}":
            return detail(401, "No user found for Key ID and Secret")
        return None

    def lock(self) -> Response | None:
        """The 403 of an account that fal has locked."""
        if self.locked_because is None:
            return None
        return locked(self.locked_because)


def locked(reason: str) -> Response:
    return detail(403, f"User is locked. Reason: {reason}")


def no_key(app: str | None) -> str:
    if app is None:
        return "Authorization header is required"
    return (
        f'Cannot access application "{app}". Authentication is required to access this application.'
    )


def unknown_app(app: str) -> Response | None:
    if app in APPS:
        return None
    return detail(404, f'Application "{app.split("/")[-1]}" not found')
