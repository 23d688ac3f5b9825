"""What the manifest tests are made of: pictures, pages on a web, and a desk to write on."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image as Picture

from reelbatch.config import Settings
from reelbatch.errors import Permanent
from reelbatch.manifest import Fault, Image, Manifest, load_manifest
from reelbatch.media.remote import Remote

REPOSITORY = Path(__file__).parents[3]
MANIFESTS = REPOSITORY / "manifests"


def picture(width: int = 720, height: int = 720, *, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Picture.new("RGB", (width, height), (90, 140, 170)).save(content, kind)
    return content.getvalue()


@dataclass(frozen=True)
class Page:
    content: bytes


@dataclass
class FakeWeb:
    """A web of a few pages; a page that is an error is raised, once for each time it is there."""

    pages: dict[str, bytes | list[Exception]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def get(self, url: str, *, cap_bytes: int) -> Page:
        self.asked.append(url)
        page = self.pages.get(url)
        if isinstance(page, list) and page:
            raise page.pop(0)
        if not isinstance(page, bytes):
            raise Permanent(f"{url} does not exist.", error="not_found")
        return Page(page)


@dataclass(frozen=True)
class Desk:
    """A folder to write manifests into, and a web around it."""

    folder: Path
    web: FakeWeb

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def load(
        self,
        content: str | bytes,
        name: str = "cats.csv",
        *,
        fetch: bool = True,
        known_images: Mapping[str, Image | str] | None = None,
    ) -> Manifest:
        return self.load_place(
            str(self.write(name, content)), fetch=fetch, known_images=known_images
        )

    def load_place(
        self,
        place: str,
        *,
        fetch: bool = True,
        known_images: Mapping[str, Image | str] | None = None,
    ) -> Manifest:
        return load_manifest(
            place,
            settings=Settings(),
            fetch=fetch,
            known_images=known_images,
            remote=Remote(lambda: self.web),
        )


def prompts(manifest: Manifest) -> list[str]:
    return [row.arguments["prompt"] for row in manifest.rows]


def codes(manifest: Manifest) -> list[str]:
    return [fault.code for fault in manifest.faults]


def the_fault(manifest: Manifest) -> Fault:
    """The only fault there is."""
    (fault,) = manifest.faults
    return fault


def sound(manifest: Manifest) -> Manifest:
    """The manifest, which has no fault at all."""
    assert [str(fault) for fault in manifest.faults] == []
    return manifest
