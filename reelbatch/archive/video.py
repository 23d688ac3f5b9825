"""Keep a video under its key; where that is taken, beside it: a paid video is never left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from reelbatch.archive.contract import Archive, KeyTaken, Stored
from reelbatch.archive.keys import plain
from reelbatch.jobs import JobId

VIDEO_TYPE = "video/mp4"


def store_video(archive: Archive, key: str, job_id: JobId, content: bytes, sha256: str) -> Stored:
    """The video under `key`, or else under `{job_id}.mp4` in the same place, with a warning.

    Raises Transient or Permanent as the archive does.
    """
    own_name = plain(job_id)
    for name in (key, _beside(key, own_name), _beside(key, f"{own_name}-{sha256[:16]}")):
        try:
            stored = archive.put_once(name, content, sha256=sha256, content_type=VIDEO_TYPE)
        except KeyTaken as error:
            taken = error
            continue
        return stored if name == key else replace(stored, warning=_warning(key, name))
    raise taken


def _beside(key: str, name: str) -> str:
    return str(PurePosixPath(key).with_name(f"{name}.mp4"))


def _warning(key: str, name: str) -> str:
    return f"{key} already holds another video, so this one is kept as {name}."
