"""Read one CT series of a DICOM folder, zip archive or enhanced file into a Volume."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom

from training import __version__
from training.geometry import FloatArray, Geometry
from training.io.dicom.files import open_files
from training.io.dicom.find import choose, find_candidates
from training.io.dicom.hashing import SliceHash
from training.io.dicom.header import quiet
from training.io.dicom.pixels import HuArray, Tally, stored_pixels, to_hu
from training.io.dicom.records import Frame, Header
from training.io.dicom.repair import Plan, interpolate_z, make_plan, move_slice
from training.io.dicom.stack import Stack
from training.io.hu import not_hu, why_not_hu
from training.io.orient import canonical_order
from training.io.privacy import case_id_for, hashed
from training.issues import Cancelled, InputError, Issue, note, warning
from training.volume import Provenance, Volume

USUAL_SLOPES = (0.1, 10.0)
"""Rescale slopes outside are so rare in CT that the values are looked at."""

Progress = Callable[[int, int, str], None]


def read_dicom(
    path: str | os.PathLike[str],
    series: int | None = None,
    repair: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Volume:
    """Read a CT series in HU, in canonical order.

    Headers are checked before any pixel is decoded.

    Parameters
    ----------
    path
        Folder, zip archive or enhanced multi-frame file.
    series
        Number in the order of :func:`list_series`, from 1; needed where several series could be read.
    repair
        Mend gaps, uneven spacing, gantry tilt and drift; recorded in the provenance and as notes.
    progress
        Called with (slices done, slices in all, stage).
    cancelled
        Asked before every file.

    Raises
    ------
    SeriesChoiceNeeded
        Several series could be read and ``series`` is None.
    InputError
        The input is refused; the issues name file, fact and way out.
    Cancelled
        ``cancelled`` said so.
    """
    with quiet(), open_files(Path(path)) as files:
        candidates, general = find_candidates(files)
        chosen = choose(candidates, general, series, repair)
        if chosen.stack is None:  # for the type checker: a series without geometry has an error and is not chosen
            raise InputError(chosen.issues)
        watch = _Watch(len(chosen.stack.frames), progress, cancelled)
        return _load(chosen.stack, make_plan(chosen.stack, repair), chosen.issues, watch)


@dataclass
class _Watch:
    total: int
    progress: Progress | None
    cancelled: Callable[[], bool] | None
    done: int = 0

    def check(self) -> None:
        if self.cancelled is not None and self.cancelled():
            raise Cancelled

    def step(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total, "read")


def source_affine(stack: Stack, plan: Plan) -> FloatArray:
    """Return the affine of the grid that ``plan`` makes of ``stack``: (slice, row, column) as stored to LPS mm."""
    step = float((plan.z_mm[-1] - plan.z_mm[0]) / max(1, len(plan.z_mm) - 1)) or 1.0
    affine = np.eye(4)
    affine[:3, :3] = stack.axes * np.asarray([step, *stack.spacing_mm])
    affine[:3, 3] = stack.origin_mm + stack.axes[:, 1:] @ np.asarray(plan.corner_mm)
    return affine


def canonical_target(shape: tuple[int, int, int], affine: FloatArray) -> tuple[HuArray, HuArray, Geometry]:
    """Return an empty canonical array, the view of it in stored order (shape ``shape``), and its geometry."""
    probe: npt.NDArray[np.int8] = np.broadcast_to(np.int8(0), shape)
    geometry = canonical_order(probe, affine)[1]
    hu = np.empty(geometry.shape, np.int16)
    turn = np.rint(np.linalg.solve(affine[:3, :3], geometry.affine[:3, :3])).astype(int)  # [stored axis, axis]
    stored_axis = np.abs(turn).argmax(axis=0)
    turned = tuple(slice(None, None, -1 if turn[stored_axis[k], k] < 0 else None) for k in range(3))
    return hu, hu[turned].transpose(np.argsort(stored_axis)), geometry


def decode_frames(
    frames: Sequence[Frame], watch: _Watch | None = None
) -> Iterator[tuple[int, npt.NDArray[np.integer]]]:
    """Yield (position in ``frames``, stored pixels), file by file."""
    by_file: dict[int, tuple[Header, dict[int, int]]] = defaultdict(lambda: (frames[0].header, {}))
    for k, frame in enumerate(frames):
        by_file[id(frame.header)] = (frame.header, {**by_file[id(frame.header)][1], frame.index: k})
    for header, places in by_file.values():
        for index, stored in stored_pixels(header, sorted(places)):
            if watch is not None:
                watch.check()
            yield places[index], stored
            if watch is not None:
                watch.step()


def _load(stack: Stack, plan: Plan, issues: Sequence[Issue], watch: _Watch) -> Volume:
    hu, stored_view, geometry = canonical_target(plan.shape, source_affine(stack, plan))
    tally = Tally()
    with SliceHash(hu, stored_view) as digest:
        if plan.done:
            _fill_repaired(stack, plan, stored_view, tally, watch)
        else:
            _fill(stack, stored_view, tally, watch, digest)
        sha256 = digest.hexdigest()
    found = [*issues, *tally.issues(), *_hu_issues(stack.frames, hu), *(note("repaired", what) for what in plan.done)]
    return _volume(hu, geometry, stack.frames[0].header, plan, found, sha256)


def _fill(stack: Stack, out: HuArray, tally: Tally, watch: _Watch, digest: SliceHash) -> None:
    """Decode each slice to its place, in canonical order where each is a file, so that hashing can keep up."""
    order = digest.order
    for n, stored in decode_frames([stack.frames[k] for k in order], watch):
        to_hu(stored, stack.frames[order[n]], out[order[n]], tally)
        digest.slice_is_done(order[n])


def _fill_repaired(stack: Stack, plan: Plan, out: HuArray, tally: Tally, watch: _Watch) -> None:
    """Decode all slices, move each in its plane if it must be, then interpolate along z if they must be."""
    uneven = len(plan.z_mm) != len(stack.z_mm) or not np.array_equal(plan.z_mm, stack.z_mm)
    placed = np.empty((len(stack.frames), *plan.shape[1:]), np.int16) if uneven else out
    for k, stored in decode_frames(stack.frames, watch):
        if plan.shift_px is None:
            to_hu(stored, stack.frames[k], placed[k], tally)
        else:
            still = np.empty(stored.shape, np.int16)
            to_hu(stored, stack.frames[k], still, tally)
            move_slice(still, plan.shift_px[k], placed[k])
    if uneven:
        interpolate_z(placed, stack.z_mm, plan.z_mm, lambda k: out[k])


def _hu_issues(frames: Sequence[Frame], hu: HuArray) -> list[Issue]:
    """Look at the values where the headers do not say that they are HU.

    Raises
    ------
    InputError
        If they cannot be.
    """
    if int(hu.min()) == int(hu.max()):
        raise InputError(not_hu(f"every voxel is {int(hu.min())}", frames[0].file_name))
    strange = [f for f in frames if f.slope is not None and not USUAL_SLOPES[0] <= f.slope <= USUAL_SLOPES[1]]
    untold = [f for f in frames if f.slope is None or f.intercept is None or f.rescale_type == "US"]
    if not (strange or untold):
        return []
    reason = why_not_hu(hu)
    if reason is not None:
        raise InputError(not_hu(reason, (strange or untold)[0].file_name))
    if not untold:
        return []
    fact = "the headers do not say that the values are Hounsfield units (no rescale tags); they look like it"
    return [warning("rescale-missing", fact, "Check that air is near -1000 and water near 0.")]


def _volume(
    hu: HuArray, geometry: Geometry, header: Header, plan: Plan, issues: Sequence[Issue], sha256: str
) -> Volume:
    uid = header.series_uid
    provenance = Provenance(
        source="dicom",
        series_uid_hash=hashed(uid) if uid else None,
        software=f"hirescam {__version__}, pydicom {pydicom.__version__}",
        repairs=plan.done,
        pixels_sha256=sha256,
    )
    inverted = header.pixels.photometric == "MONOCHROME1"
    return Volume(hu, geometry, tuple(issues), provenance, case_id_for(uid or sha256), inverted)
