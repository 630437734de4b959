"""Where this user's CTs are, by the hash of their pixels: so that a session file need not say it.

Paths may hold names of patients, so they stay in the user's own settings folder (mode 600) and out of everything that
is passed on.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from training.cohort.inputs import Origin
from training.io.atomic import atomic_path
from training.io.privacy import config_dir

_FILE = "places.json"
_KEPT = 500


def remember_place(pixels_sha256: str, origin: Origin) -> None:
    """Note where the CT with these pixels is; the oldest of many notes are forgotten.

    Raises
    ------
    InputError
        If the settings folder is not writable.
    """
    known = {key: value for key, value in _known().items() if key != pixels_sha256}
    known[pixels_sha256] = asdict(origin) | {"path": str(origin.path.absolute())}
    kept = dict(list(known.items())[-_KEPT:])
    with atomic_path(config_dir() / _FILE) as partial:
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def find_place(pixels_sha256: str) -> Origin | None:
    """Return where the CT with these pixels was, if it is still there; None if unknown or gone."""
    found = _known().get(pixels_sha256)
    if not isinstance(found, dict) or not Path(str(found.get("path"))).exists():
        return None
    series = found.get("series")
    return Origin(Path(str(found["path"])), int(series) if series is not None else None, bool(found.get("repair")))


def _known() -> dict[str, object]:
    try:
        found = json.loads((config_dir() / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # nothing noted yet, or not readable: the user is asked for the CT then
        return {}
    return found if isinstance(found, dict) else {}
