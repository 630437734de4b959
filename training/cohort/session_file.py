"""A view that reopens as it was: one file with the result of a CT, what was shown of it, and which CT it belongs to.

The file is a zip archive of ``session.json``, ``case.zarr`` and, of a comparison of two models, ``second/case.zarr``.
It holds no CT, no path and no patient data: the CT goes by the hash of its pixels, and where it is stays among this
user's own settings (:mod:`training.cohort.places`), unless the path is asked for. Moved together with its CT it finds
it again (:mod:`training.cohort.fingerprint`). Without its CT a session still opens: maps and plots, and a note. A
report on how it was made stands beside it.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from training import __version__
from training.cohort.fingerprint import Fingerprint, find_moved, fingerprint
from training.cohort.inputs import Origin
from training.cohort.places import find_place, remember_place
from training.cohort.report import INTENDED_USE
from training.cohort.run_report import model_facts, write_beside
from training.cohort.store import CASE_FOLDER, read_case, write_case
from training.explain.result import Explanation
from training.io.atomic import atomic_path
from training.io.privacy import exported
from training.issues import InputError, error

SUFFIX = ".hirescam"
"""How session files end."""

SAVE_AGAIN = "Save it again in the viewer: tab Export, Save session…"
"""How to come by a session file; only the viewer writes them, as they hold what it showed."""

SCHEMA, SCHEMA_VERSION = "hirescam-session", 1
_ABOUT = "session.json"
_SECOND = "second"
"""Folder of the result of the model that was compared with."""

_LARGEST_BYTES = 4 << 30
"""Most that an archive may unpack to; a case takes some MB."""


@dataclass(frozen=True, eq=False)
class Session:
    """What a session file holds.

    Parameters
    ----------
    view
        What was shown, plain JSON types; the viewer knows what it means.
    explanation
        The result; None if no model had run.
    pixels_sha256
        Of the CT; empty if there was none.
    origin
        Where the CT is as far as known here; None otherwise.
    second
        The result of the model that was compared with; None without.
    """

    view: Mapping[str, Any] = field(default_factory=dict)
    explanation: Explanation | None = None
    pixels_sha256: str = ""
    origin: Origin | None = None
    second: Explanation | None = None


def write_session(path: str | os.PathLike[str], session: Session, with_path: bool = False) -> None:
    """Write ``session`` to ``path``, complete or not at all, and its report beside it; note where its CT is.

    Parameters
    ----------
    with_path
        Also write the path of the CT, relative to the session file, for those who move both together; it may hold
        names.

    Raises
    ------
    InputError
        If the place, or the folder of the user's settings, is not writable.
    """
    start, target = time.perf_counter(), Path(path)
    origin = session.origin
    if origin is not None and session.pixels_sha256:
        remember_place(session.pixels_sha256, origin)
    with atomic_path(target) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_ABOUT, json.dumps(_describe(session, target, with_path), indent=1, allow_nan=False))
        for explanation, folder in ((session.explanation, ""), (session.second, _SECOND)):
            if explanation is not None:
                _add_result(archive, explanation, folder)
    request = {"with_path": with_path, "view": dict(session.view)}
    write_beside(target, "session", _facts(session), request, {"write": time.perf_counter() - start})


def _facts(session: Session) -> dict[str, Any]:
    """Return what the report says of the CT and its result."""
    found, pixels = session.explanation, {"pixels_sha256": session.pixels_sha256}
    if found is None:
        return pixels
    return {
        **pixels,
        "case": found.case_id,
        "model": model_facts(found.model),
        "devices": [found.device],
        "precision": found.precision,
        "seconds_of_result": dict(found.seconds),
        "issues": exported(found.issues),
    }


def _describe(session: Session, target: Path, with_path: bool) -> dict[str, Any]:
    origin = session.origin
    place = None
    if with_path and origin is not None:
        place = Path(os.path.relpath(origin.path.absolute(), target.absolute().parent)).as_posix()
    known_by = None if origin is None else fingerprint(origin.path)
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": f"hirescam {__version__}",
        "intended_use": INTENDED_USE,
        "pixels_sha256": session.pixels_sha256,
        "series": None if origin is None else origin.series,
        "repair": origin is not None and origin.repair,
        "path": place,
        "fingerprint": None if known_by is None else known_by.to_dict(),
        "has_result": session.explanation is not None,
        "has_second": session.second is not None,
        "view": dict(session.view),
    }


def _add_result(archive: zipfile.ZipFile, explanation: Explanation, inside: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        write_case(Path(made) / inside / CASE_FOLDER, explanation)
        for item in sorted(Path(made).rglob("*")):
            if item.is_file():
                archive.write(item, item.relative_to(made).as_posix())


def is_session(path: str | os.PathLike[str]) -> bool:
    """Return True if ``path`` is a session file of any version."""
    source = Path(path)
    if not source.is_file() or not zipfile.is_zipfile(source):
        return False
    try:
        with zipfile.ZipFile(source) as archive:
            return _ABOUT in archive.namelist() and SCHEMA.encode() in archive.read(_ABOUT)
    except (OSError, zipfile.BadZipFile):
        return False


def read_session(path: str | os.PathLike[str]) -> Session:
    """Read the file that :func:`write_session` wrote; ``origin`` tells where its CT is, if it is found.

    Raises
    ------
    InputError
        Not a session file; damaged; of a newer schema.
    """
    source = Path(path)
    if not is_session(source):
        raise InputError(error("not-a-session", "it is no session file", SAVE_AGAIN, source.name))
    try:
        with zipfile.ZipFile(source) as archive:
            about = json.loads(archive.read(_ABOUT))
            _check_schema(about, source)
            explanation = _read_result(archive, source, "") if about["has_result"] else None
            second = _read_result(archive, source, _SECOND) if about.get("has_second") else None
            return Session(about["view"], explanation, about["pixels_sha256"], _origin_of(about, source), second)
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as failure:
        raise _damaged(source, f"{type(failure).__name__}: {failure}") from failure


def _check_schema(about: Mapping[str, Any], source: Path) -> None:
    if about["schema_version"] != SCHEMA_VERSION:
        fact = f"it is of schema {about['schema_version']}, this program reads schema {SCHEMA_VERSION}"
        raise InputError(error("wrong-schema", fact, "Update hirescam-napari.", source.name))


def _read_result(archive: zipfile.ZipFile, source: Path, inside: str) -> Explanation:
    start = (PurePosixPath(inside) / CASE_FOLDER).as_posix() + "/"
    members = [info for info in archive.infolist() if info.filename.startswith(start)]
    if sum(info.file_size for info in members) > _LARGEST_BYTES:
        raise _damaged(source, "it would unpack to more than 4 GiB")
    with tempfile.TemporaryDirectory() as folder:
        for info in members:
            if ".." in PurePosixPath(info.filename).parts:
                raise _damaged(source, "a name in it leads out of it")
            archive.extract(info, folder)
        return read_case(Path(folder) / inside / CASE_FOLDER)


def _origin_of(about: Mapping[str, Any], source: Path) -> Origin | None:
    """Return where the CT is: where the session says, else this user's settings, else where it was moved with it."""
    if about["path"]:
        there = source.absolute().parent / about["path"]
        if there.exists():
            return Origin(there, about["series"], about["repair"])
    known = find_place(about["pixels_sha256"]) if about["pixels_sha256"] else None
    if known is not None or not about.get("fingerprint"):
        return known
    moved = find_moved(source, Fingerprint(**about["fingerprint"]))
    return None if moved is None else Origin(moved, about["series"], about["repair"])


def _damaged(source: Path, detail: str) -> InputError:
    fact = f"the session file is damaged ({detail})"
    return InputError(error("damaged-session", fact, SAVE_AGAIN, source.name))
