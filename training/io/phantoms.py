"""Phantoms of this program keep their names: they are nobody.

A phantom is known by ``truth.json`` beside its CT, which names the case and the hash of the CT's own pixels. So nothing
that a file or a folder is called becomes the name of a case: of a patient's CT that was put into a phantom's place the
pixels are others, and the names are ``phantom-`` and digits only.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from training.volume import Volume

TRUTH_FILE = "truth.json"
"""What is known of a phantom, beside its CT."""

PHANTOM_NAME = re.compile(r"phantom-\d{6,}", re.ASCII)
"""How phantoms are called."""

_LARGEST_BYTES = 1_000_000


def with_phantom_name(volume: Volume, path: Path) -> Volume:
    """Return ``volume``, read from the file ``path``, under its own name if it is a phantom of this program."""
    name = _name_in(path.parent / TRUTH_FILE, volume.provenance.pixels_sha256)
    return volume if name is None else replace(volume, case_id=name)


def _name_in(truth: Path, pixels_sha256: str) -> str | None:
    """Return the name that ``truth`` gives to these pixels; None where it is no such file, or is about others."""
    try:
        if not pixels_sha256 or not truth.is_file() or truth.stat().st_size > _LARGEST_BYTES:
            return None
        told = json.loads(truth.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # somebody else's file of that name: the CT keeps its hash
        return None
    if not isinstance(told, dict) or told.get("pixels_sha256") != pixels_sha256:
        return None
    name = told.get("case")
    return name if isinstance(name, str) and PHANTOM_NAME.fullmatch(name) else None
