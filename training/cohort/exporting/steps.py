"""The steps of one export: which files there are, and what makes each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from training.cohort.exporting.request import ExportCase, ExportRequest
from training.cohort.output import MAPS_FOLDER
from training.cohort.report import REPORT_NAME
from training.cohort.run_report import burned_in_warning
from training.evaluate.animation import ANIMATIONS, FILM_DPI, draw_frames, film_slices, write_film
from training.evaluate.case_figures import FORMATS, CaseFigure
from training.io.export.dicom_seg import write_dicom_seg
from training.io.export.nifti import ct_grid, write_map_cells, write_map_on_ct, write_organs
from training.io.export.parametric_map import write_parametric_map
from training.io.export.source import SourceImages, read_source
from training.issues import InputError, Issue, error, note, warning
from training.labels import file_stem

DICOM_FOLDER, FIGURES_FOLDER, FILMS_FOLDER, ORGANS_NAME = "dicom", "figures", "films", "organs.nii.gz"
OWN = frozenset({REPORT_NAME, MAPS_FOLDER, DICOM_FOLDER, FIGURES_FOLDER, FILMS_FOLDER, ORGANS_NAME})
"""All that an export's folder may hold."""

IsCancelled = Callable[[], bool]


class Step(NamedTuple):
    """One file, or one piece of work before files: what it is, and what makes it in the folder."""

    stage: str
    make: Callable[[Path], None]


class Work:
    """The steps of one export, and what they share."""

    def __init__(self, case: ExportCase, request: ExportRequest, cancelled: IsCancelled | None) -> None:
        self.case, self.request, self.cancelled = case, request, cancelled
        self.organs = case.organs
        self.source: SourceImages | None = None
        self.stems = _stems(request.labels)
        self.issues: list[Issue] = list(_warnings(case, request))

    def steps(self) -> Iterator[Step]:
        """Yield the steps in the order in which they are done."""
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
