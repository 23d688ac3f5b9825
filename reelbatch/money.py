"""Dollars as Decimal from end to end; a millionth is the smallest unit we keep."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

MICRO = Decimal("0.000001")
NOTHING = Decimal("0.00")


def usd(value: str | int | Decimal) -> Decimal:
    """Read an amount in dollars. Raises ValueError for anything that is not a finite number."""
    try:
        amount = Decimal(str(value).strip().removeprefix("$"))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount in dollars") from None
    if not amount.is_finite():
        raise ValueError(f"{value!r} is not an amount in dollars")
    return amount.quantize(MICRO)


def to_micros(amount: Decimal) -> int:
    """Millionths of a dollar, as the ledger stores them."""
    return int((amount / MICRO).to_integral_value())


def from_micros(micros: int) -> Decimal:
    return tidy(Decimal(micros) * MICRO)


def tidy(amount: Decimal) -> Decimal:
    """At least two decimals, no more than are needed: 1.6 -> 1.60, 0.20000 -> 0.20."""
    short = amount.quantize(Decimal("0.01"))
    return short if short == amount else amount.quantize(MICRO).normalize()


def as_text(amount: Decimal) -> str:
    """The amount for JSON: a string with a decimal point."""
    return f"{tidy(amount):f}"
