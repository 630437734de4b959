"""Which kind of file system a path lies on, as far as the system tells."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")

LOCAL = frozenset(
    "apfs bcachefs bind btrfs ecryptfs exfat ext2 ext3 ext4 f2fs fuseblk hfs hfsplus jfs msdos ntfs ntfs3 overlay "
    "ramfs reiserfs squashfs tmpfs ufs vfat xfs zfs".split()
)
"""File systems of one machine alone, on which processes share memory-mapped files. All others are treated as shared
over a network, whose locks and shared memory cannot be relied on."""


def file_system(path: str | os.PathLike[str]) -> str:
    """Return the type of the file system of ``path``, for example ``ext4`` or ``nfs4``; ``unknown`` off Linux."""
    if sys.platform != "linux":
        return "unknown"
    return type_in(_MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"), Path(path).resolve())


def is_local(file_system: str) -> bool:
    """Return True for a file system that only this machine can write to."""
    return file_system in LOCAL


def type_in(mount_info: str, path: Path) -> str:
    """Return the type of the innermost mount that holds ``path``.

    Parameters
    ----------
    mount_info
        Text as of ``/proc/self/mountinfo`` (proc(5)): the mount point is the fifth field, the type follows `` - ``.
    path
        Absolute, without links.
    """
    found, depth = "unknown", -1
    for line in mount_info.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = after.split()[0], len(point.parts)
    return found
