"""Organs of a case, worked out once and kept for every other model that explains it.

Finding organs takes seconds a CT and does not depend on the model. An entry is found by the bytes of the CT and of its
organ map, and by what else decides the result; nothing in it says whose CT it is. It appears in one step, so several
processes can fill one folder. A damaged entry is made anew.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.cohort.cache import VolumeCache
from training.cohort.sources.base import Record
from training.cohort.sources.organs import ORGANS_VERSION
from training.io.atomic import atomic_path
from training.io.privacy import exported
from training.issues import Issue, Severity
from training.partition.organs import Organs, QualityControl
from training.volume import Volume


@dataclass(frozen=True, eq=False)
class Examined:
    """What was found in a CT: its organs (None if none were asked for), and whether it looks like a chest."""

    organs: Organs | None
    checks: tuple[Issue, ...]


def examined(
    folder: Path | None, record: Record, volume: Volume, settings: tuple[str, ...], make: Callable[[], Examined]
) -> Examined:
    """Return what was found in the CT of ``record``: from ``folder``, else made by ``make`` and kept.

    Parameters
    ----------
    folder
        Where entries are kept; None to work everything out.
    volume
        The CT as its source gives it.
    settings
        What beside the CT and its organ map decides the result.

    Raises
    ------
    InputError
        What ``make`` raises; the disk is full or not writable.
    """
    if folder is None:
        return make()
    place = _place(folder, record, settings)
    kept = _read(place, volume)
    if kept is not None:
        return kept
    made = make()
    _write(place, made)
    return made


def _place(folder: Path, record: Record, settings: tuple[str, ...]) -> Path:
    cache = VolumeCache(folder)
    own = None if record.organs is None else cache.digest(record.organs)
    about = [ORGANS_VERSION, cache.digest(record.path), own, sorted(record.details.items()), list(settings)]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    return folder / "organs" / key[:2] / f"{key[2:32]}.npz"


def _write(place: Path, made: Examined) -> None:
    about: dict[str, Any] = {"checks": exported(made.checks), "qc": None}
    arrays: dict[str, Any] = {}
    if made.organs is not None:
        about["qc"] = {**made.organs.qc.to_dict(), "reasons": exported(made.organs.qc.reasons)}
        arrays["labels"] = made.organs.labels
        if made.organs.body is not None:
            arrays["body"] = np.packbits(made.organs.body)
    with atomic_path(place) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays, about=np.array(json.dumps(about)))


def _read(place: Path, volume: Volume) -> Examined | None:
    """Return an entry; None if there is none, or it is damaged."""
    try:
        with place.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            about = json.loads(str(found["about"]))
            arrays = {name: found[name] for name in ("labels", "body") if name in found}
        checks = tuple(_issue(issue) for issue in about["checks"])
        return Examined(_organs(about["qc"], arrays, volume), checks)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _organs(qc: dict[str, Any] | None, arrays: dict[str, Any], volume: Volume) -> Organs | None:
    if qc is None:
        return None
    shape = volume.geometry.shape
    body = None
    if "body" in arrays:
        body = np.unpackbits(arrays["body"], count=int(np.prod(shape))).reshape(shape).astype(np.bool_)
    quality = QualityControl(
        bool(qc["passed"]),
        tuple(_issue(issue) for issue in qc["reasons"]),
        tuple((str(name), float(ml)) for name, ml in qc["volumes_ml"].items()),
        qc["heuristic_mask"],
        str(qc["backend"]),
    )
    return Organs(arrays["labels"], volume.geometry, quality, body)


def _issue(data: dict[str, Any]) -> Issue:
    return Issue(**{**data, "severity": Severity(data["severity"])})
