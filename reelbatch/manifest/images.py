"""The images of a manifest: each location read once, checked, hashed and let go.

Two rows with one image share its facts; remote images are fetched a few at a time.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from reelbatch.errors import Permanent, Transient
from reelbatch.manifest.faults import shown
from reelbatch.manifest.places import beside, is_url
from reelbatch.manifest.rows import Image
from reelbatch.media.images import check_image, read_image
from reelbatch.media.places import is_public
from reelbatch.media.remote import Remote
from reelbatch.urls import without_query

AT_ONCE = 8
RETRIES = 100
PAUSES_SECONDS = (0.5, 2.0)
PATIENCE_SECONDS = 10.0
WIDEST = 2.5
"""Ovi's own resolutions go from 448x1120 to 1120x448 (fal.md, section 14)."""
SMALLEST = 256

Looked = Image | Permanent | Transient
"""An image with its facts, or why there are none."""


@dataclass(frozen=True, kw_only=True)
class Looking:
    """How images are looked at: over which connections, and which are known already."""

    remote: Remote
    fetch: bool = True
    known: Mapping[str, Image | str]
    pause: Callable[[float], None] = time.sleep
    retries: Iterator[int] = field(default_factory=lambda: iter(range(RETRIES)))
    """For all images together: a dead network should say so soon."""

    def all(self, images: Iterable[Image]) -> dict[str, Looked]:
        """Every distinct location's image, or why it cannot be used."""
        distinct = list({image.location: image for image in images}.values())
        if len(distinct) < 2:
            return {image.location: self._look(image) for image in distinct}
        with ThreadPoolExecutor(AT_ONCE, "images") as pool:
            looked = pool.map(self._look, distinct)
            return dict(zip((image.location for image in distinct), looked, strict=True))

    def _look(self, image: Image) -> Looked:
        if image.is_remote:
            if known := self.known.get(image.location):
                return _as_known(image, known)
            if not self.fetch:
                return image
        try:
            content = self._patiently(image.location)
            facts = check_image(content)
        except (Permanent, Transient) as problem:
            return problem
        return replace(
            image,
            sha256=hashlib.sha256(content).hexdigest(),
            content_type=facts.content_type,
            width=facts.width,
            height=facts.height,
        )

    def _patiently(self, location: str) -> bytes:
        """Its bytes, asked for again where that may help: ten thousand images meet some flake."""
        for pause_seconds in PAUSES_SECONDS:
            try:
                return read_image(location, remote=self.remote)
            except Transient as problem:
                if next(self.retries, None) is None:
                    raise
                self.pause(min(problem.retry_after or 0, PATIENCE_SECONDS) or pause_seconds)
        return read_image(location, remote=self.remote)


def image_named(reference: str, folder: str) -> Image:
    """The image a row names, not read yet. Raises Permanent for a place we never read from."""
    location = beside(reference, folder)
    if location.startswith("data:"):
        head = location.partition(",")[0][:60]
        return Image(source=f"{head} ({len(location)} characters)", location=location, sha256=None)
    if is_url(location):
        scheme, _, rest = location.partition("://")
        location = f"{scheme.lower()}://{rest}"
        _check_address(location)
    return Image(source=reference, location=location, sha256=None)


def odd_about(image: Image) -> tuple[str, str, str] | None:
    """Code, message and advice for an image that Ovi will hardly do well with."""
    if not image.width or not image.height:
        return None
    size = f"{image.width} x {image.height}"
    ratio = image.width / image.height
    if not 1 / WIDEST <= ratio <= WIDEST:
        message = f"The image has {size} pixels, longer than Ovi's own videos."
        return "image-ratio", message, "Crop it to between 1:2.5 and 2.5:1."
    if min(image.width, image.height) < SMALLEST:
        message = f"The image has only {size} pixels."
        return "image-small", message, f"Use one of at least {SMALLEST} pixels a side."
    return None


def _as_known(image: Image, known: Image | str) -> Image:
    if isinstance(known, str):
        return replace(image, sha256=known)
    return replace(known, source=image.source, location=image.location)


def _check_address(location: str) -> None:
    scheme = location.partition("://")[0]
    if scheme == "http":
        raise Permanent(
            f"{shown(without_query(location))} is not https.",
            advice="Write https://, or save the image beside the manifest.",
            error="not_https",
        )
    if scheme not in ("https", "s3"):
        raise Permanent(
            f"An image is not read from {scheme}://.",
            advice="Name a file, an s3:// or an https:// address.",
            error="scheme",
        )
    if scheme == "https" and "@" in location.partition("://")[2].partition("/")[0]:
        raise Permanent(
            f"{shown(without_query(location))} carries a user name or password.",
            advice="Save the image beside the manifest: credentials are sent to nobody.",
            error="with_credentials",
        )
    if scheme == "https" and _is_private(location):
        raise Permanent(
            f"{shown(without_query(location))} is on a private address, where fal cannot fetch it.",
            advice="Save the image beside the manifest, or put it on a public host.",
            error="private_address",
        )


def _is_private(location: str) -> bool:
    """Whether the address is private as written; names are judged when they are looked up."""
    try:
        host = (urlsplit(location).hostname or "").rstrip(".")
        return host == "localhost" or not is_public(ipaddress.ip_address(host))
    except ValueError:
        return False
