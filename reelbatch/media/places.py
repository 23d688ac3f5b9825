"""Where we may download from: which hosts, and which addresses behind them.

A host is judged by the addresses it resolves to, and exactly those are connected to; a name
that answers differently a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

from reelbatch.config import is_loopback
from reelbatch.errors import Permanent, Transient
from reelbatch.urls import without_query

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], tuple[str, ...]]
"""Host and port to addresses. Raises OSError where the name has none."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, kw_only=True)
class Target:
    """One address on the web that we were allowed to ask; its host is not resolved yet."""

    parts: SplitResult
    host: str
    port: int
    may_be_loopback: bool

    @property
    def path(self) -> str:
        """What stands in the request line."""
        return urlunsplit(("", "", self.parts.path or "/", self.parts.query, ""))

    @property
    def shown(self) -> str:
        return without_query(self.parts.geturl())

    def accepts(self, address: Address) -> bool:
        """Public addresses over https; this machine only where it was allowed."""
        if address.is_loopback:
            return self.may_be_loopback
        return self.parts.scheme == "https" and is_public(address)


@dataclass(frozen=True, kw_only=True)
class Places:
    """The rules of one downloader. `hosts` are exact or `*.suffix`; None is any public host."""

    hosts: tuple[str, ...] | None
    allow_loopback: bool
    rewrite: Mapping[str, str]

    def target(self, url: str) -> Target:
        """Where this URL really leads. Raises Permanent `download_refused`."""
        parts, host = _split(url)
        if self.hosts is not None and not matches(host, self.hosts):
            raise refused(url, f"{host} is not a host we download from")
        base = next((to for pattern, to in self.rewrite.items() if matches(host, (pattern,))), None)
        if base is None:
            return _target(parts, host, may_be_loopback=self.allow_loopback)
        moved = urlsplit(base.rstrip("/") + urlunsplit(("", "", parts.path, parts.query, "")))
        return _target(moved, _host(moved), may_be_loopback=is_loopback(base))


def _split(url: str) -> tuple[SplitResult, str]:
    try:
        parts = urlsplit(url)
        host, _ = _host(parts), parts.port
    except ValueError:
        raise refused(url, "it is not a web address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise refused(url, "only https addresses are downloaded")
    if parts.username or parts.password:
        raise refused(url, "it carries a user name or password, and we never send credentials")
    return parts, host


def _host(parts: SplitResult) -> str:
    """Lower case, ASCII, no trailing dot. Raises ValueError where that cannot be had."""
    host = (parts.hostname or "").rstrip(".")
    return host if host.isascii() else host.encode("idna").decode()


def _target(parts: SplitResult, host: str, *, may_be_loopback: bool) -> Target:
    if parts.scheme == "http" and not may_be_loopback:
        raise refused(parts.geturl(), "only https addresses are downloaded")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Target(parts=parts, host=host, port=port, may_be_loopback=may_be_loopback)


def matches(host: str, patterns: tuple[str, ...]) -> bool:
    """Whether a host is one of these; `*.fal.media` is every name below fal.media, not itself."""
    return any(
        host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
        for pattern in patterns
    )


def addresses(target: Target, resolve: Resolver) -> tuple[str, ...]:
    """The addresses we may connect to. Raises Transient (no answer) or Permanent (none allowed)."""
    try:
        found = resolve(target.host, target.port)
    except OSError as error:
        raise Transient(
            f"{target.host} was not found by name.",
            advice="Check the address and this machine's network.",
        ) from error
    sound = tuple(text for text in found if target.accepts(ipaddress.ip_address(text)))
    if not sound:
        raise refused(target.shown, f"{target.host} leads to an address that is not public")
    return sound


def resolve_by_dns(host: str, port: int) -> tuple[str, ...]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def is_public(address: Address) -> bool:
    """Whether the wide internet is behind it, also where an IPv4 address hides in an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local or address.teredo:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def refused(url: str, reason: str) -> Permanent:
    return Permanent(f"{without_query(url)} is not downloaded: {reason}.", error="download_refused")
