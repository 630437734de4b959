"""Everything of one case that leaves the program, in one folder: maps, masks, DICOM objects, figures, films, a report.

The folder appears complete or not at all. Nothing in it carries patient data unless asked; the unique identifiers by
which DICOM objects refer to their source images stay, because without them there is no reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from training.cohort.inputs import Origin
from training.cohort.output import MAPS_FOLDER, check_target
from training.cohort.report import REPORT_NAME, build_report, write_report
from training.cohort.run_report import burned_in_warning, file_entries, now, versions
from training.evaluate.animation import ANIMATIONS, FILM_DPI, check_encoder, draw_frames, film_slices, write_film
from training.evaluate.case_figures import FORMATS, CaseFigure, FigureStyle
from training.explain.display import Unchanged
from training.explain.result import Explanation
from training.io.atomic import atomic_path
from training.io.export.dicom_seg import write_dicom_seg
from training.io.export.nifti import ct_grid, write_map_cells, write_map_on_ct, write_organs
from training.io.export.parametric_map import write_parametric_map
from training.io.export.source import SourceImages, read_source
from training.io.privacy import original_name
from training.issues import Cancelled, InputError, Issue, error, note, warning
from training.labels import chosen_labels, file_stem
from training.partition.organs import Organs
from training.picture import Picture
from training.volume import Volume

ExportFormat = Literal["nifti", "dicom", "png", "pdf", "svg", "gif", "mp4"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = ("nifti", "dicom", *FORMATS, *ANIMATIONS)
Grid = Literal["both", "ct", "cells"]
GRIDS: tuple[Grid, ...] = ("both", "ct", "cells")

DICOM_FOLDER, FIGURES_FOLDER, FILMS_FOLDER, ORGANS_NAME = "dicom", "figures", "films", "organs.nii.gz"
OWN = frozenset({REPORT_NAME, MAPS_FOLDER, DICOM_FOLDER, FIGURES_FOLDER, FILMS_FOLDER, ORGANS_NAME})
"""All that an export's folder may hold."""

Progress = Callable[[int, int, str], None]
IsCancelled = Callable[[], bool]


@dataclass(frozen=True)
class ExportRequest:
    """What is to be exported.

    Parameters
    ----------
    labels
        Names; one map, figure and film each.
    formats
        Of ``EXPORT_FORMATS``.
    organs
        Export organ masks too, where NIfTI or DICOM is asked for.
    grid
        NIfTI maps on the CT's own grid, as the cells are, or both.
    style
        How figures and films are drawn, and by which methods and placement maps are made.
    slice
        The slice of figures, from 0 at the head; each label's top slice by default.
    with_patient_data
        Let DICOM objects carry the patient and study modules, and the report the name of the input.
    """

    labels: tuple[str, ...]
    formats: frozenset[ExportFormat] = frozenset(("nifti", "png"))
    organs: bool = True
    grid: Grid = "both"
    style: FigureStyle = field(default_factory=FigureStyle)
    slice: int | None = None
    with_patient_data: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON types."""
        return {
            "labels": list(self.labels),
            "formats": sorted(self.formats),
            "organs": self.organs,
            "grid": self.grid,
            "methods": list(self.style.methods),
            "placement": self.style.placement,
            "scaling": self.style.policy.name,
            "signed": isinstance(self.style.policy, Unchanged) and self.style.policy.signed,
            "slice_index": self.slice,
            "window_hu": list(self.style.window_hu),
            "with_patient_data": self.with_patient_data,
        }


@dataclass(frozen=True, eq=False)
class ExportCase:
    """What is known of the case.

    ``volume`` and ``picture`` are None for a result without its CT, ``origin`` where the CT has no file, ``organs``
    before they were found; they are found when they are needed.
    """

    explanation: Explanation
    volume: Volume | None = None
    picture: Picture | None = None
    organs: Organs | None = None
    origin: Origin | None = None


class Step(NamedTuple):
    """One file, or one piece of work before files: what it is, and what makes it in the folder."""

    stage: str
    make: Callable[[Path], None]


def export_case(
    out: Path,
    case: ExportCase,
    request: ExportRequest,
    progress: Progress | None = None,
    cancelled: IsCancelled | None = None,
) -> dict[str, Any]:
    """Write the folder ``out``, completely or not at all, and return the report in it.

    Parameters
    ----------
    progress
        Called with (steps done, steps, stage).
    cancelled
        Asked before every step and every frame of a film.

    Raises
    ------
    InputError
        A label the model has not; maps of a model that has none; DICOM objects without DICOM images to refer to; MP4
        without its encoder; a place that must not or cannot be written.
    Cancelled
        ``cancelled`` said so; nothing was written.
    """
    check_target(out, OWN, "export")
    _check_request(case, request)
    seconds: dict[str, float] = {}
    work = _Work(case, request, cancelled)
    with atomic_path(out) as folder:
        folder.mkdir()
        steps = list(work.steps())
        for done, step in enumerate(steps):
            if cancelled is not None and cancelled():
                raise Cancelled
            if progress is not None:
                progress(done, len(steps), step.stage)
            start = time.perf_counter()
            step.make(folder)
            seconds[step.stage] = seconds.get(step.stage, 0.0) + time.perf_counter() - start
        report = _report(case, request, work, folder, seconds)
        write_report(folder / REPORT_NAME, report)
    if progress is not None:
        progress(len(steps), len(steps), "export")
    return report


def check_maps(has_maps: bool, model: str) -> None:
    """Refuse to export from a model without maps; raises ``InputError``."""
    if not has_maps:
        raise InputError(error("no-map", f"{model} has no maps", "Export from a model that has maps."))


def _check_request(case: ExportCase, request: ExportRequest) -> None:
    """Refuse what cannot work before anything is made."""
    explanation = case.explanation
    chosen_labels(request.labels, explanation.labels)
    unknown = sorted(set(request.formats) - set(EXPORT_FORMATS))
    if unknown:
        raise ValueError(f"no export format is called {unknown[0]!r}; there are {', '.join(EXPORT_FORMATS)}")
    check_maps(explanation.has_maps, explanation.model.name)
    if "dicom" in request.formats and case.origin is None:
        fact = "DICOM objects must refer to the CT's images, and the CT was not given"
        raise InputError(error("not-dicom-source", fact, "Give the DICOM series beside the result, or export NIfTI."))
    for kind in ANIMATIONS:
        if kind in request.formats:
            check_encoder(kind)


class _Work:
    """The steps of one export, and what they share."""

    def __init__(self, case: ExportCase, request: ExportRequest, cancelled: IsCancelled | None) -> None:
        self.case, self.request, self.cancelled = case, request, cancelled
        self.organs = case.organs
        self.source: SourceImages | None = None
        self.stems = _stems(request.labels)
        self.issues: list[Issue] = list(_warnings(case, request))

    def steps(self) -> Iterator[Step]:
        formats = self.request.formats
        if "dicom" in formats:
            yield Step("source images", self._read_source)
        if self._wants_organs:
            if self.organs is None:
                yield Step("organs", self._find_organs)
            yield from self._organ_steps()
        for label in self.request.labels:
            yield from self._label_steps(label)

    @property
    def _wants_organs(self) -> bool:
        wanted = self.request.organs and bool(self.request.formats & {"nifti", "dicom"})
        return wanted and (self.organs is not None or self.case.volume is not None)

    def _organ_steps(self) -> Iterator[Step]:
        if "nifti" in self.request.formats:
            yield Step("nifti", self._organs_as_nifti)
        if "dicom" in self.request.formats:
            yield Step("dicom", self._organs_as_dicom)

    def _label_steps(self, label: str) -> Iterator[Step]:
        formats = self.request.formats
        if "nifti" in formats:
            yield Step("nifti", partial(self._maps_as_nifti, label))
        if "dicom" in formats:
            yield Step("dicom", partial(self._maps_as_dicom, label))
        if formats & set(FORMATS):
            yield Step("figures", partial(self._figures, label))
        if formats & set(ANIMATIONS):
            yield Step("films", partial(self._films, label))

    def _read_source(self, _folder: Path) -> None:
        origin = self.case.origin
        if origin is None:  # for the type checker: checked before
            raise InputError(error("not-dicom-source", "the CT was not given"))
        asked, name = self.request.with_patient_data, self.case.explanation.case_id
        self.source = read_source(origin.path, origin.series, origin.repair, asked, name)

    def _find_organs(self, _folder: Path) -> None:
        from training.partition import segment_organs

        if self.case.volume is not None:
            self.organs = segment_organs(self.case.volume)

    def _grid(self) -> Any:
        path = None if self.case.origin is None else self.case.origin.path
        return ct_grid(path, self.case.explanation.image_geometry)

    def _organs_as_nifti(self, folder: Path) -> None:
        if self.organs is not None:
            write_organs(folder / ORGANS_NAME, self.organs, self._grid())

    def _organs_as_dicom(self, folder: Path) -> None:
        if self.organs is not None and self.source is not None:
            write_dicom_seg(folder / DICOM_FOLDER / "organs.dcm", self.organs, self.source)

    def _maps_as_nifti(self, label: str, folder: Path) -> None:
        style, explanation = self.request.style, self.case.explanation
        for method in style.methods:
            stem = folder / MAPS_FOLDER / f"{self.stems[label]}.{method}"
            if self.request.grid != "cells":
                write_map_on_ct(f"{stem}.nii.gz", explanation, label, method, self._grid(), style.placement)
            if self.request.grid != "ct":
                write_map_cells(f"{stem}.cells.nii.gz", explanation, label, method, style.placement)

    def _maps_as_dicom(self, label: str, folder: Path) -> None:
        style, methods = self.request.style, self.request.style.methods
        first = self.request.labels.index(label) * len(methods)
        for number, method in enumerate(methods, first):
            path = folder / DICOM_FOLDER / f"{self.stems[label]}.{method}.dcm"
            if self.source is not None:
                write_parametric_map(
                    path, self.case.explanation, label, method, self.source, style.placement, number=number
                )

    def _figures(self, label: str, folder: Path) -> None:
        figure = CaseFigure(self.case.explanation, self.case.picture, label, self.request.style)
        if self.request.slice is not None:
            figure.show_slice(self.request.slice)
        (folder / FIGURES_FOLDER).mkdir(exist_ok=True)
        for kind in FORMATS:
            if kind in self.request.formats:
                (folder / FIGURES_FOLDER / f"{self.stems[label]}.{kind}").write_bytes(figure.save(kind))

    def _films(self, label: str, folder: Path) -> None:
        """Draw the frames once for all kinds of film; at this size they take about 100 MB."""
        style = replace(self.request.style, dpi=FILM_DPI)
        figure = CaseFigure(self.case.explanation, self.case.picture, label, style)
        top = figure.pixels()
        frames = list(draw_frames(figure, film_slices(figure.n_slices), cancelled=self.cancelled))
        for kind in ANIMATIONS:
            if kind in self.request.formats:
                write_film(folder / FILMS_FOLDER / f"{self.stems[label]}.{kind}", kind, frames, palette_from=top)


def _stems(labels: tuple[str, ...]) -> dict[str, str]:
    """Return a file name for every label; those that would be the same are numbered."""
    stems: dict[str, str] = {}
    for label in labels:
        stem = file_stem(label)
        stems[label] = stem if stem not in stems.values() else f"{stem}-{len(stems) + 1}"
    return stems


def _warnings(case: ExportCase, request: ExportRequest) -> Iterator[Issue]:
    """Yield what whoever passes the export on has to know."""
    pictures = bool(request.formats & {*FORMATS, *ANIMATIONS}) and case.picture is not None
    volume_issues = () if case.volume is None else case.volume.issues
    codes = {issue.code for issue in (*case.explanation.issues, *volume_issues)}
    if pictures:
        yield from burned_in_warning(codes)
    if request.with_patient_data:
        yield warning(
            "patient-data", "patient data was exported, as asked", "Pass it on to those only who may have it."
        )
    if request.organs and request.formats & {"nifti", "dicom"} and case.organs is None and case.volume is None:
        yield note("no-organs", "organ masks were left out: the CT was not given")


def _sums(explanation: Explanation, request: ExportRequest) -> list[dict[str, Any]]:
    """Return for every exported label what its maps add up to (over the cells), the bias and the score, score units.

    For HiResCAM ``map_sum`` + ``bias`` is the score where the model's maps carry the guarantee (equation 7).
    """
    return [
        {
            "name": label,
            "score": float(explanation.scores[explanation.labels.index(label)]),
            "bias": float(explanation.bias[explanation.labels.index(label)]),
            "map_sum": {
                method: float(explanation.map(label, method).sum(dtype=np.float64)) for method in request.style.methods
            },
        }
        for label in request.labels
    ]


def _report(
    case: ExportCase, request: ExportRequest, work: _Work, folder: Path, seconds: Mapping[str, float]
) -> dict[str, Any]:
    read_as = case.explanation.with_issues(*work.issues)
    document = build_report(read_as, {"export": sum(seconds.values())}, request.style.placement)
    document["export"] = {
        "time": now(),
        "request": request.to_dict(),
        "files": file_entries(folder),
        "seconds": dict(seconds),
        "versions": versions(),
        "organs": None if work.organs is None else work.organs.qc.to_dict(),
        "sums": _sums(case.explanation, request),
    }
    if request.with_patient_data and case.origin is not None:
        document["export"]["input"] = original_name(case.origin.path)
    return document
