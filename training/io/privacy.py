"""Names that are safe to show: salted hashes instead of anything that could lead back to a patient."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

from training.issues import InputError, Issue, error

SALT_VARIABLE = "HIRESCAM_SALT"
"""Environment variable that replaces the user's salt, so that several machines give the same names."""

DISPLAY_DIGITS = 16
"""Hexadecimal digits kept of a hash: 64 bits, no collision in any cohort."""

_SALT_FILE = "salt"


def config_dir() -> Path:
    """Return the folder of this user's settings; it need not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "hirescam"


def hashed(text: str) -> str:
    """Return ``DISPLAY_DIGITS`` hex digits of the salted SHA-256 (HMAC, RFC 2104) of ``text``.

    The salt is random per user, made on first use and kept in :func:`config_dir` (mode 600), or taken from
    ``$HIRESCAM_SALT``. The same text gives the same digits for the same salt.

    Raises
    ------
    InputError
        If the salt can neither be read nor written.
    """
    return hmac.new(_salt(), text.encode("utf-8"), hashlib.sha256).hexdigest()[:DISPLAY_DIGITS]


def case_id_for(identity: str, name: str | None = None) -> str:
    """Return the name of a case: ``name`` where the user asked to keep names, else the hash of ``identity``.

    ``identity`` is what makes the CT itself: the series instance UID, or the SHA-256 of the pixels where there is none.
    """
    return name or hashed(identity)


def original_name(path: Path) -> str:
    """Return how ``path`` names the CT: its base name, for a file without the extension (.nii.gz counts as one)."""
    name = path.absolute().name
    return name if path.is_dir() else name.removesuffix(".gz").rpartition(".")[0] or name


def exported(issues: Iterable[Issue]) -> list[dict[str, object]]:
    """Return issues as plain JSON types for files that leave this computer: without the names of input files."""
    return [issue.to_dict() | {"file": None} for issue in issues]


def _salt() -> bytes:
    given = os.environ.get(SALT_VARIABLE)
    return given.encode("utf-8") if given else _stored_salt(config_dir() / _SALT_FILE)


def _stored_salt(path: Path) -> bytes:
    try:
        if not path.exists():
            _create_salt(path)
        salt = path.read_bytes()
    except OSError as failure:
        raise InputError(_salt_issue(f"cannot be read or written ({failure.strerror})")) from failure
    if len(salt) < 16:
        raise InputError(_salt_issue("is damaged: it is too short"))
    return salt


def _create_salt(path: Path) -> None:
    """Write a fresh salt; of several processes at once the first wins and all read the same."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(fresh, path)  # unlike a rename, this never replaces a salt that another process has just written
    except FileExistsError:
        return
    finally:
        fresh.unlink()


def _salt_issue(fact: str) -> Issue:
    return error(
        "no-salt",
        f"the salt that hides names {fact}",
        f"Make the folder of your settings writable, delete the file, or set ${SALT_VARIABLE} to a text of your own.",
        file=_SALT_FILE,
    )
