"""Any backend's answer made one result: labels on the CT's grid, body, quality control, heuristic mask on failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from training.geometry import Geometry
from training.issues import Cancelled, InputError, error
from training.partition.grids import nearest_labels
from training.partition.organs import MEDIASTINUM, Organs, QualityControl, heuristic_labels, volumes_ml
from training.partition.segment import quality
from training.partition.segment.external import lungmask_labels, totalsegmentator_labels
from training.partition.segment.masks import MaskPath, read_masks
from training.partition.segment.morphology import Report, body_alone, canonical, morphology, with_given_lungs
from training.volume import Volume

Backend = Literal["morphology", "file", "lungmask", "totalsegmentator"]
Variant = Literal["default", "aerated", "authors"]
Heuristic = Literal["paper", "authors"]
VARIANTS: Final = ("default", "aerated", "authors")
BACKENDS: Final = ("morphology", "file", "lungmask", "totalsegmentator")


@dataclass(frozen=True, eq=False)
class _Answer:
    """Labels and body in canonical order, and what was noticed."""

    labels: npt.NDArray[np.uint8]
    body: npt.NDArray[np.bool_]
    found: quality.Findings


def segment_organs(
    volume: Volume,
    backend: Backend = "morphology",
    variant: Variant = "default",
    heuristic: Heuristic = "paper",
    mask_path: MaskPath | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Organs:
    """Segment right lung, left lung and mediastinum (section 12.2).

    Parameters
    ----------
    volume
        Any chest CT.
    backend
        ``morphology`` needs nothing else; ``file`` takes masks made elsewhere; ``lungmask`` and ``totalsegmentator``
        run these packages if they are installed.
    variant
        Of the morphology: ``default``; ``aerated``, where fluid and airless lung along the ribs are not added to the
        lungs; or ``authors``, the recipe of the paper's code on its own 0.8 mm grid.
    heuristic
        The mask that stands in when quality control fails: ``paper`` or ``authors``.
    mask_path
        For ``file``: a label map (1 right lung, 2 left lung, 3 mediastinum), a folder, or a mapping from
        ``right_lung``, ``left_lung``, ``mediastinum`` to files; as :func:`training.io.masks.read_mask`.
    progress
        Called with (done, total, stage).
    cancelled
        Asked now and then; True stops the work.

    Returns
    -------
    Organs
        On the volume's grid, with the body, volumes and the reasons of quality control.

    Raises
    ------
    InputError
        Unknown backend or variant, unusable masks, or a package that is not installed.
    Cancelled
        If ``cancelled`` returned True.
    """
    _check_names(backend, variant, heuristic, mask_path)
    report = _reporter(progress, cancelled)
    report(0, 100, "organs")
    hu, geometry = canonical(volume)
    answer = _answer(volume, hu, geometry, backend, variant, mask_path, report)
    volumes = volumes_ml(answer.labels, geometry)
    issues = quality.reasons(answer.labels, geometry, volumes, answer.found)
    labels, used = answer.labels, None
    if not quality.passed(issues):
        labels, used = heuristic_labels(geometry, heuristic), heuristic
        issues = (*issues, quality.heuristic_used(heuristic, answer.found.given))
    name = backend if variant == "default" else f"{backend} ({variant})"
    added = quality.added_volumes(answer.found)
    qc = QualityControl(used is None, issues, tuple(volumes.items()), used, name, added)
    labels, body = (_back(values, geometry, volume.geometry) for values in (labels, answer.body.view(np.uint8)))
    report(100, 100, "organs")
    return Organs(labels, volume.geometry, qc, body.view(np.bool_))


def _answer(
    volume: Volume,
    hu: npt.NDArray[np.int16],
    geometry: Geometry,
    backend: Backend,
    variant: Variant,
    mask_path: MaskPath | None,
    report: Report,
) -> _Answer:
    if backend == "morphology":
        if variant == "authors":
            from training.partition.authors import authors_labels

            body = body_alone(hu, geometry, report)
            return _Answer(authors_labels(volume, geometry), body, quality.Findings(judged=True))
        labels, body, found = morphology(hu, geometry, report, pleura=variant == "default")
        return _Answer(labels, body, found.findings)
    given = _given(volume, backend, mask_path)
    given = np.asarray(nearest_labels(given, volume.geometry, geometry), dtype=np.uint8)
    complete = backend == "file" and bool((given == MEDIASTINUM).any())
    labels, body = with_given_lungs(hu, geometry, given, complete, report)
    return _Answer(labels, body, quality.Findings(given=backend == "file"))


def _given(volume: Volume, backend: Backend, mask_path: MaskPath | None) -> npt.NDArray[np.uint8]:
    """Return the labels of another segmentation on the volume's grid; without mediastinum it holds lungs only."""
    if backend == "lungmask":
        return lungmask_labels(volume)
    if backend == "totalsegmentator":
        return totalsegmentator_labels(volume)
    if mask_path is None:
        way_out = "Name a label map or a folder of masks (--mask)."
        raise InputError(error("no-masks", "the backend 'file' was given no masks", way_out))
    return read_masks(mask_path, volume.geometry)


def _check_names(backend: str, variant: str, heuristic: str, mask_path: object) -> None:
    for what, value, known in (
        ("backend", backend, BACKENDS),
        ("variant", variant, VARIANTS),
        ("heuristic mask", heuristic, ("paper", "authors")),
    ):
        if value not in known:
            way_out = f"Choose one of {', '.join(known)}."
            raise InputError(error("unknown-name", f"there is no {what} {value!r}", way_out))
    if mask_path is not None and backend != "file":
        fact = f"masks were given, but the backend is {backend!r}"
        raise InputError(error("options-clash", fact, "Use the backend 'file' for them."))
    if variant != "default" and backend != "morphology":
        fact = f"the variant {variant!r} is a recipe of the backend 'morphology', not of {backend!r}"
        raise InputError(error("options-clash", fact, "Leave out one of --variant and --backend."))


def _reporter(progress: Callable[[int, int, str], None] | None, cancelled: Callable[[], bool] | None) -> Report:
    def report(done: int, total: int, stage: str) -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("organ segmentation was cancelled")
        if progress is not None:
            progress(done, total, stage)

    return report


def _back(values: npt.NDArray[np.uint8], source: Geometry, target: Geometry) -> npt.NDArray[np.uint8]:
    return values if source is target else np.asarray(nearest_labels(values, source, target), dtype=np.uint8)
