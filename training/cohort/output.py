"""The folder that ``explain`` leaves: ``report.json``, ``case.zarr`` and, where asked for, maps as NIfTI."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.cohort.report import REPORT_NAME, build_report, is_report, write_report
from training.cohort.store import CASE_FOLDER, write_case
from training.explain.placement import Placement
from training.explain.result import METHODS, Explanation
from training.io.atomic import atomic_path, check_folder_place, check_is_no_other_thing
from training.io.write import write_nifti
from training.issues import InputError, error
from training.labels import file_stem

MAPS_FOLDER = "maps"

ARRAYS_FILE = "zarr.json"
"""By this file a folder is known that holds arrays."""

OWN = frozenset({REPORT_NAME, CASE_FOLDER, MAPS_FOLDER})
"""All that a folder made by ``explain`` may hold."""


def check_target(out: Path, own: frozenset[str] = OWN, made_by: str = "explain", report: str = REPORT_NAME) -> None:
    """Refuse a place where results cannot or must not be written; an earlier result of the same kind may be replaced.

    Parameters
    ----------
    own
        Names that such a result may hold.
    made_by
        The command that makes them.
    report
        Name of the file by which such a result is known.

    Raises
    ------
    InputError
        A file, a folder with anything else in it, or a place without permission.
    """
    if out.is_dir():
        present = {item.name for item in out.iterdir()}
        known = is_report(out / report) if report == REPORT_NAME else report in present
        if present and not (present <= own and known):
            fact = f"the output folder holds other things than an earlier result of `{made_by}`, and is left as it is"
            if present <= own and report in present:
                fact = f"{report} in the output folder is damaged, or not of `{made_by}`; the folder is left as it is"
            raise InputError(error("output-exists", fact, "Choose a folder that does not exist yet.", out.name))
    check_folder_place(out, replaced=True)


def check_own_folder(folder: Path, is_own: Callable[[Path], bool], what: str) -> None:
    """Refuse a folder that holds other things, for work that goes on in its own folder.

    Parameters
    ----------
    is_own
        Asked of a folder that holds anything at all: whether that work left it.
    what
        What works there, in words.

    Raises
    ------
    InputError
        A file, or a folder with other things; both are left as they are.
    """
    check_folder_place(folder)
    if folder.is_dir() and holds_anything(folder) and not is_own(folder):
        fact = f"the folder holds files that are no {what}'s; they are left as they are"
        raise InputError(error("output-exists", fact, "Choose an empty or a new folder.", folder.name))


def check_cache_folder(folder: Path | None, keeps: str, option: str) -> None:
    """Refuse a file where a folder is to keep things; raises ``InputError`` that names it and the ``option``."""
    if folder is not None and (folder.exists() or folder.is_symlink()) and not folder.is_dir():
        what = "a file" if folder.exists() else "a link that leads nowhere"
        fact = f"is {what}, not a folder that could keep {keeps}"
        raise InputError(error("not-a-folder", fact, f"Name a folder ({option}).", folder.name))


def holds_anything(folder: Path) -> bool:
    """Return whether a folder holds more than what killed processes left."""
    return any(not item.name.startswith(".partial-") for item in folder.iterdir())


def check_free_files(paths: Iterable[Path], overwrite: bool) -> None:
    """Refuse to replace files, unless that was asked for (``--overwrite``).

    Raises
    ------
    InputError
        If one of ``paths`` is there; all that are get named. Always if two are the same file, or if one lies inside a
        store, or is there and is no file: a folder, a device, a FIFO or a socket.
    """
    paths = tuple(paths)
    _check_different(paths)
    for path in paths:
        check_outside_stores(path)
        check_is_no_other_thing(path)
    taken = [] if overwrite else [path.name for path in paths if path.exists() or path.is_symlink()]
    if taken:
        way_out = "Choose another name, or let it be replaced (--overwrite)."
        raise InputError(error("output-exists", "exists already, and is left as it is", way_out, n) for n in taken)


def _check_different(paths: Sequence[Path]) -> None:
    """Refuse to write two things into one file, of which the last would be left."""
    seen: set[str] = set()
    for path in paths:
        real = os.path.realpath(path)  # not Path.resolve: links in a loop are refused later, by their own name
        if real in seen:
            fact = "was given for two different outputs"
            raise InputError(error("same-output", fact, "Give each a file of its own.", path.name))
        seen.add(real)


def check_outside_stores(path: Path) -> None:
    """Refuse a file inside a store, or inside the maps of a case: it would damage what is kept there.

    Raises
    ------
    InputError
        Code ``output-in-store``; names the store.
    """
    from training.cohort.results.files import find_store

    for folder in Path(os.path.realpath(path)).parents:
        if (folder / ARRAYS_FILE).is_file() or find_store(folder) is not None:
            fact = f"would lie inside the store {folder.name}, which is left as it is"
            raise InputError(error("output-in-store", fact, "Choose a place outside of it.", path.name))


def check_same_case(out: Path, case_id: str) -> None:
    """Refuse to replace the result of another CT.

    Raises
    ------
    InputError
        If ``out`` holds one.
    """
    if not is_report(out / REPORT_NAME):
        return
    held = json.loads((out / REPORT_NAME).read_text(encoding="utf-8")).get("case")
    if held != case_id:
        fact = f"the output folder holds the result of another CT ({held}), and is left as it is"
        raise InputError(error("output-exists", fact, "Choose another folder, or delete it first.", out.name))


def write_result(
    out: Path,
    case: Explanation,
    seconds: Mapping[str, float],
    map_labels: Iterable[str] = (),
    placement: Placement = "receptive_field",
) -> dict[str, Any]:
    """Write the folder ``out``, completely or not at all, and return the report in it.

    Parameters
    ----------
    seconds
        Wall times that ``case`` does not know, such as ``read``.
    map_labels
        Labels whose maps are written, signed and unnormalised, by both methods.
    placement
        Where these maps stand.

    Raises
    ------
    InputError
        As for :func:`check_target`; or the disk is full.
    """
    check_target(out)
    check_same_case(out, case.case_id)
    start = time.perf_counter()
    with atomic_path(out) as folder:
        folder.mkdir()
        write_case(folder / CASE_FOLDER, case)
        for label in map_labels:
            _write_maps(folder / MAPS_FOLDER, case, label, placement)
        report = build_report(case, {**seconds, "write": time.perf_counter() - start}, placement)
        write_report(folder / REPORT_NAME, report)
    return report


def _write_maps(folder: Path, case: Explanation, label: str, placement: Placement) -> None:
    for method in METHODS:
        name = f"{file_stem(label)}.{method}.nii.gz"
        write_nifti(folder / name, case.map(label, method), case.geometry(method, placement))
