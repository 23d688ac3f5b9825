"""URLs as they may be shown and kept."""

from __future__ import annotations

import re

_URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)


def without_login(url: str) -> str:
    """A database's URL without user, password and query, even where it is written wrongly."""
    head, at, place = url.partition("?")[0].rpartition("@")
    return f"{head.partition(':')[0]}://...@{place}" if at else place


def without_query(url: str) -> str:
    """The URL without user, query and fragment, which hold the secrets of presigned links.

    A `data:` URI keeps its type only; what is no web address (a path, an s3:// key) stays.
    """
    if url.startswith("data:"):
        return url.partition(",")[0]
    if not url.lower().startswith(("http://", "https://")):
        return url
    bare = url.partition("?")[0].partition("#")[0]
    scheme, _, rest = bare.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def without_queries(text: str) -> str:
    """What somebody else wrote, with every URL in it as it may be shown."""
    return _URL.sub(lambda url: without_query(url[0]), text)
