"""One process at a time: a lock that the system itself gives up when its process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.issues import InputError, error


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold ``file`` locked; it is made if it is missing, and stays.

    Raises
    ------
    InputError
        If another process holds it.
    """
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            _lock(handle)
        except OSError as refusal:
            fact = "is being filled by another process"
            raise InputError(
                error("store-busy", fact, "Wait until it is done, or stop it.", file.parent.name)
            ) from refusal
        yield
    finally:
        os.close(handle)  # gives the lock up


if os.name == "nt":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
