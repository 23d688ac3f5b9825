"""fal's addresses, and the one place where fal-client is pointed at ours.

fal-client has no parameter for its hosts; its module constants are read at call time
(fal.md, section 12, way C). They are not API: a test fails when they go, and so do we.
"""

from __future__ import annotations

from types import ModuleType

from reelbatch.config import Settings

BACKUP_HOSTS = {"queue.fal.run": "queue.falrun.com"}
"""The same queue under another domain, with the same paths and keys."""

APP_NAMESPACES = ("workflows", "comfy")
"""First segments that are not an owner: owner and app follow them."""

FAL_CLIENT_CONSTANTS = ("QUEUE_URL_FORMAT", "REST_URL", "CDN_URL")


def point_fal_client(module: ModuleType, settings: Settings) -> None:
    """Point `fal_client.client` at the configured hosts, for the whole process."""
    urls = (f"{settings.fal_queue_url}/", settings.fal_rest_url, settings.fal_cdn_url)
    for name, url in zip(FAL_CLIENT_CONSTANTS, urls, strict=True):
        if not hasattr(module, name):
            raise RuntimeError(f"fal_client.client has no {name}: this release is not for it")
        setattr(module, name, url)
