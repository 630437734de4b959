"""``export``: maps, masks, DICOM objects, figures and films of one case, in one folder with a report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.console import AsJson, emit, progress_bars, reported, say, say_issues, wrote

if TYPE_CHECKING:
    from training.cohort.exporting import ExportCase, ExportRequest
    from training.explain.result import Explanation


class ExportKind(StrEnum):
    """What can be made."""

    NIFTI = "nifti"
    DICOM = "dicom"
    PNG = "png"
    PDF = "pdf"
    SVG = "svg"
    GIF = "gif"
    MP4 = "mp4"


class MapGrid(StrEnum):
    """On which grid NIfTI maps are written."""

    BOTH = "both"
    CT = "ct"
    CELLS = "cells"


class MapMethod(StrEnum):
    """Which maps."""

    HIRESCAM = "hirescam"
    GRADCAM = "gradcam"


class MapPlacement(StrEnum):
    """Where map cells stand."""

    RECEPTIVE_FIELD = "receptive_field"
    STRETCH = "stretch"


class CtWindow(StrEnum):
    """The gray-scale window of figures."""

    LUNG = "lung"
    MEDIASTINUM = "mediastinum"
    BONE = "bone"
    SOFT_TISSUE = "soft_tissue"


class MapScaling(StrEnum):
    """What the end of the colour scale stands for."""

    PER_LABEL = "per_label"
    SHARED_LABELS = "shared_labels"
    PAPER = "paper"


_KINDS = (ExportKind.NIFTI, ExportKind.PNG)
_METHODS = (MapMethod.HIRESCAM, MapMethod.GRADCAM)


def export(
    paths: Annotated[list[Path], typer.Argument(help="A CT, a folder made by explain, or both.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files and report.json.")],
    kinds: Annotated[
        list[ExportKind], typer.Option("--format", "-f", help="nifti, dicom, png, pdf, svg, gif, mp4; repeatable.")
    ] = list(_KINDS),  # noqa: B006 - typer copies it
    labels: Annotated[list[str] | None, typer.Option("--label", "-l", help="Abnormality; repeatable.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Without --label: this many of the highest probability.")] = 1,
    model: Annotated[str, typer.Option(help="For a CT without a result: checkpoint, demo, ARCHITECTURE:random.")] = (
        "demo"
    ),
    methods: Annotated[list[MapMethod], typer.Option("--method", help="Maps; repeatable.")] = list(_METHODS),  # noqa: B006
    placement: Annotated[MapPlacement, typer.Option(help="Where map cells stand.")] = MapPlacement.RECEPTIVE_FIELD,
    grid: Annotated[MapGrid, typer.Option(help="NIfTI maps voxel by voxel on the CT, as cells, or both.")] = (
        MapGrid.BOTH
    ),
    organs: Annotated[bool, typer.Option("--organs/--no-organs", help="Organ masks as NIfTI or DICOM too.")] = True,
    window: Annotated[CtWindow, typer.Option(help="Gray-scale window of figures.")] = CtWindow.LUNG,
    scaling: Annotated[MapScaling, typer.Option(help="What the colour scale ends at.")] = MapScaling.PER_LABEL,
    signed: Annotated[bool, typer.Option("--signed", help="Show evidence against as well.")] = False,
    slice_number: Annotated[
        int | None, typer.Option("--slice", min=1, help="Slice of figures, from 1 at the head; else the top slice.")
    ] = None,
    series: Annotated[int | None, typer.Option(help="Number of the series, where there are several.")] = None,
    device: Annotated[str, typer.Option(help="Where the network runs: auto, cpu, cuda, mps.")] = "auto",
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended; recorded.")] = False,
    with_patient_data: Annotated[
        bool, typer.Option("--with-patient-data", help="Let DICOM objects and the report name the patient.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Export maps, masks, DICOM objects, figures and films of one case. No patient data unless asked for."""
    with reported(as_json):
        from training.cohort.exporting import OWN, export_case
        from training.cohort.output import check_target

        check_target(out, OWN, "export")
        case, read_issues = _open(paths, series, repair, model, device, as_json)
        style = _style(methods, placement.value, scaling.value, signed, window.value)
        request = _request(case.explanation, labels or (), top, kinds, organs, grid.value, style)
        request = _with_slice(request, case, slice_number, with_patient_data)
        with progress_bars() as progress:
            report = export_case(out, case, request, progress)
        if as_json:
            emit(report)
        else:
            say_issues(_new_issues(report, read_issues))
            _print(report, out)


def _open(
    paths: Sequence[Path], series: int | None, repair: bool, model: str, device: str, quiet: bool
) -> tuple[ExportCase, int]:
    """Return the case, explained if it was not, and how many issues were told on the way."""
    from training.cohort.exporting import ExportCase
    from training.cohort.inputs import Origin, check_same_ct, sort_inputs
    from training.cohort.store import read_case
    from training.io import read_ct
    from training.partition.segment import chest_check
    from training.picture import picture_of

    given = sort_inputs(paths)
    stored = read_case(given.result) if given.result is not None else None
    if given.ct is None and stored is not None:
        return ExportCase(stored), 0
    if given.ct is None:
        raise typer.BadParameter("give a CT, or a folder made by explain")
    start = time.perf_counter()
    with progress_bars() as progress:
        volume = read_ct(given.ct, series, repair, progress)
    volume = volume.with_issues(*chest_check(volume))
    seconds = time.perf_counter() - start
    if not quiet:
        say_issues(volume.issues)
    if stored is not None:
        check_same_ct(volume, stored)
    explanation = stored if stored is not None else _explain(volume, model, device, seconds)
    origin = Origin(given.ct, series, repair)
    return ExportCase(explanation, volume, picture_of(volume), origin=origin), len(volume.issues)


def _explain(volume: Any, model: str, device: str, read_seconds: float) -> Explanation:
    from training.explain import explain
    from training.models import load_model

    say("Running the model.")
    with progress_bars() as progress:
        found = explain(load_model(model), volume, device, progress=progress)
    return found.with_cost({"read": read_seconds, **found.seconds}, found.peak_rss_bytes)


def _style(methods: Sequence[MapMethod], placement: Any, scaling: str, signed: bool, window: str) -> Any:
    from training.evaluate.case_figures import FigureStyle
    from training.explain.display import policy_named
    from training.picture import WINDOWS

    chosen = tuple(method.value for method in dict.fromkeys(methods))
    return FigureStyle(
        methods=chosen,  # type: ignore[arg-type]
        window_hu=WINDOWS[window].limits_hu,
        placement=placement,
        policy=policy_named(scaling, signed=signed),
    )


def _request(
    explanation: Explanation,
    labels: Sequence[str],
    top: int,
    kinds: Sequence[ExportKind],
    organs: bool,
    grid: Any,
    style: Any,
) -> ExportRequest:
    from training.cohort.exporting import ExportRequest
    from training.labels import find_label, is_known

    named = [find_label(n).name if is_known(n) and n not in explanation.labels else n for n in labels]
    best = [explanation.labels[i] for i in explanation.scores.argsort()[::-1][:top]]
    chosen = tuple(dict.fromkeys(named or best))
    return ExportRequest(chosen, frozenset(kind.value for kind in kinds), organs, grid, style)


def _with_slice(
    request: ExportRequest, case: ExportCase, slice_number: int | None, with_patient_data: bool
) -> ExportRequest:
    from dataclasses import replace

    n = case.explanation.cells.n_cells[0] if case.picture is None else case.picture.geometry.shape[0]
    if slice_number is not None and slice_number > n:
        raise typer.BadParameter(f"--slice: there are {n} slices")
    chosen = None if slice_number is None else slice_number - 1
    return replace(request, slice=chosen, with_patient_data=with_patient_data)


def _new_issues(report: dict[str, Any], already: int) -> list[Any]:
    from training.issues import Issue, Severity

    found = [Issue(**(one | {"severity": Severity(one["severity"])})) for one in report["issues"]]
    return found[already:]


def _print(report: dict[str, Any], out: Path) -> None:
    for one in report["export"]["files"]:
        typer.echo(f"{one['bytes'] / 1000:10,.0f} KB  {one['path']}")
    typer.echo("For research only, not for clinical use.")
    wrote(out)
