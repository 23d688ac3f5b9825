"""Where the record of payment may live: not on a network file system.

SQLite's locks are not reliable there, and two claims of one place would both be paid.
"""

from __future__ import annotations

from pathlib import Path

from reelbatch.errors import Refused

MOUNTS = Path("/proc/mounts")
NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "fuse.sshfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "fuse.glusterfs",
        "lustre",
        "fuse.s3fs",
        "fuse.rclone",
        "fuse.gcsfuse",
        "efs",
    }
)


def file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the file system below `path`, or None where the machine does not say."""
    if not mounts.exists():
        return None
    best = ("", "")
    for line in mounts.read_text(errors="replace").splitlines():
        _, where, kind, *_ = line.split(" ")
        if path.is_relative_to(where.replace("\\040", " ")) and len(where) >= len(best[0]):
            best = (where, kind)
    return best[1] or None


def refuse_network_file_system(path: Path, mounts: Path = MOUNTS) -> None:
    kind = file_system(path.parent.resolve(), mounts)
    if kind in NETWORK:
        raise Refused(
            f"The ledger {path} lies on a network file system ({kind}), where SQLite's locks "
            "do not hold.",
            advice="Put it on a local disk, or use Postgres (REELBATCH_LEDGER).",
        )
