"""What is neither a file nor a folder: a FIFO, a socket or a device. It is never read and never replaced."""

from __future__ import annotations

from pathlib import Path

from training.issues import InputError, error


def is_special(path: Path) -> bool:
    """Return True if a FIFO, a socket or a device is there, also behind a link."""
    return path.exists() and not path.is_file() and not path.is_dir()


def check_not_special(path: Path) -> None:
    """Refuse to read what is neither a file nor a folder: reading a FIFO could wait for ever.

    Raises
    ------
    InputError
        Code ``not-a-file``.
    """
    if is_special(path):
        fact = "is a device, a FIFO or a socket, not a file"
        raise InputError(error("not-a-file", fact, "Write what it holds to a file, and give that.", path.name))
