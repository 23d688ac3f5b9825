"""Read a manifest, whole: every sound row, and every fault of all the others at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reelbatch.config import Settings
from reelbatch.errors import Permanent, Transient
from reelbatch.manifest.document import Document
from reelbatch.manifest.drafts import Draft, Ids, drafted
from reelbatch.manifest.faults import Unreadable, fault_of
from reelbatch.manifest.images import Looking, odd_about
from reelbatch.manifest.output import collisions
from reelbatch.manifest.places import Read, Source, named, reader
from reelbatch.manifest.plain import kind_of, plain_rows
from reelbatch.manifest.rows import Fault, Image, Manifest, Row
from reelbatch.media.remote import Remote, remote_for

PROGRESS_ROWS = 500
ROW_CAP = 1_000_000
"""A matrix beside a large sheet multiplies quickly."""

Progress = Callable[[int], None]


def load_manifest(
    place: str,
    *,
    settings: Settings,
    fetch: bool = True,
    known_images: Mapping[str, Image | str] | None = None,
    progress: Progress | None = None,
    remote: Remote | None = None,
) -> Manifest:
    """The manifest at a local path, `s3://` or `https://` address.

    Bad content never raises: `faults` says all of it, and a file that cannot be read is a
    manifest without rows. `known_images` (by location: an Image or its sha256) spares
    fetching; `fetch=False` takes remote images on trust. `progress` hears how many rows
    were read.
    """
    remote = remote or remote_for(settings)
    read = reader(remote)
    found: list[Fault] = []
    try:
        source = read(place)
    except (Permanent, Transient) as problem:
        source = named(place)
        found.append(fault_of(problem, about="manifest", file=source.file))
        return _manifest(source, Document(name=source.stem), [], found)
    document = Document(name=source.stem)
    try:
        document = _document(source, read, found)
        drafts = list(_drafts(document, found, progress or _silent))
    except Unreadable as problem:
        found.append(fault_of(problem, about="", file=source.file, line=problem.line))
        return _manifest(source, document, [], found)
    if not drafts and all(fault.severity == "warning" for fault in found):
        found.append(_no_rows(source))
    looking = Looking(remote=remote, fetch=fetch, known=known_images or {})
    rows = _without_collisions(_with_images(drafts, looking, found), document.name, found)
    return _manifest(source, document, rows, found)


def _document(source: Source, read: Read, found: list[Fault]) -> Document:
    if kind_of(source) == "yaml":
        from reelbatch.manifest.yaml_document import yaml_document

        return yaml_document(source, read, found)
    return Document(name=source.stem, rows=plain_rows(source, frozenset(), found))


def _drafts(document: Document, found: list[Fault], progress: Progress) -> Iterator[Draft]:
    """Every row that is sound so far."""
    ids = Ids()
    count = 0
    for count, raw in enumerate(document.rows, 1):
        if draft := drafted(raw, ids, document.name, found):
            yield draft
        if count > ROW_CAP:
            raise _too_many_rows()
        if count % PROGRESS_ROWS == 0:
            progress(count)
    progress(count)


def _with_images(drafts: list[Draft], looking: Looking, found: list[Fault]) -> list[Row]:
    """The rows whose image is sound, with what it is; the others become faults."""
    looked = looking.all(draft.row.image for draft in drafts if draft.row.image)
    rows = []
    for draft in drafts:
        image = draft.row.image
        if image is None:
            rows.append(draft.row)
            continue
        seen = looked[image.location]
        if isinstance(seen, Image):
            same = seen if seen.source == image.source else replace(seen, source=image.source)
            rows.append(replace(draft.row, image=same))
        else:
            found.append(_image_fault(draft, seen))
    found += _odd_images(rows)
    return rows


def _image_fault(draft: Draft, problem: Permanent | Transient) -> Fault:
    return fault_of(
        problem, about="image", file=draft.row.file, line=draft.image_line, column="image"
    )


def _odd_images(rows: Iterable[Row]) -> Iterator[Fault]:
    """Warnings about images, each image once; one for all that nobody has read."""
    seen: set[str] = set()
    unread: list[Row] = []
    for row in rows:
        if row.image is None or row.image.location in seen:
            continue
        seen.add(row.image.location)
        if row.image.sha256 is None:
            unread.append(row)
        elif lint := odd_about(row.image):
            yield _warning(row, *lint)
    if unread:
        message = f"Remote images were taken on trust, not read: {len(unread)}."
        yield _warning(unread[0], "image-unread", message, "Leave out --no-fetch to check them.")


def _warning(row: Row, code: str, message: str, advice: str) -> Fault:
    return Fault(
        file=row.file,
        line=row.line,
        column="image",
        code=code,
        message=message,
        advice=advice,
        severity="warning",
    )


def _without_collisions(rows: list[Row], batch: str, found: list[Fault]) -> list[Row]:
    colliding = {row.row_id: fault for row, fault in collisions(rows, batch)}
    found += colliding.values()
    return [row for row in rows if row.row_id not in colliding] if colliding else rows


def _too_many_rows() -> Unreadable:
    return Unreadable(
        f"The manifest stands for more than {ROW_CAP} rows.",
        error="too-many-rows",
        advice="Split it, or make its matrix smaller.",
    )


def _no_rows(source: Source) -> Fault:
    return Fault(
        file=source.file,
        line=0,
        column=None,
        code="no-rows",
        message="The manifest has no rows.",
        advice="Below the line that names the columns, each line is one video.",
    )


def _manifest(
    source: Source, document: Document, rows: Sequence[Row], found: list[Fault]
) -> Manifest:
    return Manifest(
        name=document.name,
        place=source.place,
        content=source.content,
        file_name=source.file_name,
        archive=document.archive,
        budget_usd=document.budget_usd,
        rows=rows,
        faults=_in_reading_order(found),
    )


def _in_reading_order(found: list[Fault]) -> list[Fault]:
    files = {file: n for n, file in enumerate(dict.fromkeys(fault.file for fault in found))}
    return sorted(dict.fromkeys(found), key=lambda fault: (files[fault.file], fault.line))


def _silent(count: int) -> None:
    """Nobody asked how far we are."""
