"""Faults of webhooks, drawn anew for each attempt to deliver one."""

from reelbatch.emulator.faults.moments import Delivery
from reelbatch.emulator.faults.registry import fault

NOT_SERIALIZABLE = (
    "Response payload is not JSON serializable. Either return a JSON serializable object "
    "or use the queue endpoint to retrieve the response."
)


@fault(at="webhook")
def duplicate_webhook(delivery: Delivery, *, copies: int = 2) -> None:
    """The same webhook several times at once."""
    delivery.copies = copies


@fault(at="webhook")
def late_webhook(delivery: Delivery, *, seconds: float = 5.0) -> None:
    """The webhook comes some seconds after the end."""
    delivery.delay_seconds = seconds


@fault(at="webhook")
def lost_webhook(delivery: Delivery) -> None:
    """The webhook never comes."""
    delivery.lost = True


@fault(at="webhook")
def bad_signature(delivery: Delivery) -> None:
    """Signed with a key that is not in the JWKS."""
    delivery.forged = True


@fault(at="webhook")
def stale_timestamp(delivery: Delivery, *, seconds: float = 600.0) -> None:
    """Well signed, but some minutes ago."""
    delivery.age_seconds = seconds


@fault(at="webhook")
def tampered_body(delivery: Delivery) -> None:
    """The body is changed after it was signed."""
    delivery.tampered = True


@fault(at="webhook")
def null_payload(delivery: Delivery) -> None:
    """OK with payload null and a payload_error: the result must be fetched."""
    delivery.body |= {"payload": None, "payload_error": NOT_SERIALIZABLE}
