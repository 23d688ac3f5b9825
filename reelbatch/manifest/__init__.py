"""Manifests: what the user wrote, read whole, with every fault at once."""

from reelbatch.manifest.load import load_manifest as load_manifest
from reelbatch.manifest.rows import Fault as Fault
from reelbatch.manifest.rows import Image as Image
from reelbatch.manifest.rows import Manifest as Manifest
from reelbatch.manifest.rows import Row as Row
