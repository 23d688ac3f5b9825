"""Bulk video generation on fal, from a manifest to an archive."""

__version__ = "0.1.0"
