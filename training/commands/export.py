"""``export``: maps, masks, DICOM objects, figures and films of one case, in one folder with a report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from training.commands.choices import (
    MODEL_HELP,
    Device,
    DeviceOption,
    Placement,
    PlacementOption,
    RepairOption,
    SeriesOption,
)
from training.console import AsJson, emit, progress_bars, reported, say, say_issues, wrote
from training.labels import chosen_labels
from training.words import agreed, counted

if TYPE_CHECKING:
    from training.cohort.exporting import ExportCase, ExportRequest
    from training.cohort.inputs import Inputs
    from training.explain.result import Explanation
    from training.models import Model


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
    kinds: Annotated[list[ExportKind], typer.Option("--format", "-f", help="What is made; repeatable.")] = list(_KINDS),  # noqa: B006 - typer copies it
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="LABEL", show_default="the most likely", help="Abnormality; repeatable."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Without --label: how many of the most likely abnormalities.")] = 1,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help=f"For a CT that explain has not seen. {MODEL_HELP}")
    ] = "demo",
    methods: Annotated[list[MapMethod], typer.Option("--method", help="Which maps; repeatable.")] = list(_METHODS),  # noqa: B006
    placement: PlacementOption = Placement.RECEPTIVE_FIELD,
    grid: Annotated[
        MapGrid, typer.Option(help="NIfTI maps: voxel by voxel on the CT, one voxel a cell of the map, or both.")
    ] = MapGrid.BOTH,
    organs: Annotated[bool, typer.Option("--organs/--no-organs", help="Organ masks as NIfTI or DICOM too.")] = True,
    window: Annotated[CtWindow, typer.Option(help="Gray-scale window of figures.")] = CtWindow.LUNG,
    scaling: Annotated[
        MapScaling,
        typer.Option(
            help="What the colour scale ends at: the label's own largest value, in score units (per_label) or called 1 "
            "as in the paper (paper), or the largest value of all labels (shared_labels)."
        ),
    ] = MapScaling.PER_LABEL,
    signed: Annotated[
        bool, typer.Option("--signed", help="Show evidence against the abnormality too. Default: evidence for it.")
    ] = False,
    slice_number: Annotated[
        int | None,
        typer.Option(
            "--slice", min=1, show_default="with the highest score", help="Slice of figures, from 1 at the head."
        ),
    ] = None,
    series: SeriesOption = None,
    device: DeviceOption = Device.AUTO,
    repair: RepairOption = False,
    with_patient_data: Annotated[
        bool,
        typer.Option(
            "--with-patient-data", help="Let DICOM objects and the report name the patient. Default: nothing does."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Export maps, masks, DICOM objects, figures and films of one case. No patient data unless asked for."""
    with reported(as_json):
        from training.cohort.exporting import OWN, export_case
        from training.cohort.output import check_target

        check_target(out, OWN, "export")
        given = _given(paths, kinds)
        known = _known(given, model)
        names = chosen_labels(labels or (), known.labels)
        asked = _Reading(series, repair, device.value, slice_number)
        case, read_issues = _open(given, known, asked, as_json)
        style = _style(methods, placement.value, scaling.value, signed, window.value)
        request = _request(case.explanation, names, top, kinds, organs, grid.value, style)
        chosen = None if slice_number is None else slice_number - 1
        request = replace(request, slice=chosen, with_patient_data=with_patient_data)
        with progress_bars() as progress:
            report = export_case(out, case, request, lambda done, total, _stage: progress(done, total, "export"))
        if as_json:
            emit(report)
        else:
            say_issues(_new_issues(report, read_issues))
            _print(report, out)


class _Reading(NamedTuple):
    """How the CT is read and explained, and the slice that is asked for, from 1."""

    series: int | None
    repair: bool
    device: str
    slice_number: int | None


def _given(paths: Sequence[Path], kinds: Sequence[ExportKind]) -> Inputs:
    """Return what was given; refuse formats that cannot be made from it before anything is read."""
    from training.cohort.inputs import sort_inputs
    from training.evaluate.animation import check_encoder
    from training.io.read import Kind, find_kind

    given = sort_inputs(paths)
    kind = None if given.ct is None else find_kind(given.ct)
    if ExportKind.DICOM in kinds and kind is not Kind.DICOM:
        what = "only a result was given" if kind is None else f"this CT is {kind}"
        raise typer.BadParameter(f"--format dicom needs the CT's DICOM series, and {what}; choose nifti, or give it")
    if ExportKind.MP4 in kinds:
        check_encoder("mp4")
    return given


def _known(given: Inputs, model: str) -> Explanation | Model:
    """Return what is known before the CT is read: the stored result, or else the model; refuse one without maps."""
    from training.cohort.exporting import check_maps
    from training.cohort.store import read_case

    if given.result is not None:
        stored = read_case(given.result)
        check_maps(stored.has_maps, stored.model.name)
        return stored
    from training.models import load_model

    loaded = load_model(model)
    check_maps(loaded.guarantee.has_maps, loaded.name)
    return loaded


def _open(given: Inputs, known: Explanation | Model, asked: _Reading, quiet: bool) -> tuple[ExportCase, int]:
    """Return the case, explained if it was not, and how many issues were told on the way."""
    from training.cohort.exporting import ExportCase
    from training.cohort.inputs import Origin, check_same_ct
    from training.explain.result import Explanation
    from training.io import read_ct
    from training.partition.segment import chest_check
    from training.picture import picture_of

    stored = known if isinstance(known, Explanation) else None
    if given.ct is None and stored is not None:
        _check_slice(asked.slice_number, stored.cells.n_cells[0])
        return ExportCase(stored), 0
    if given.ct is None:
        raise typer.BadParameter("give a CT, or a folder made by explain")
    start = time.perf_counter()
    with progress_bars() as progress:
        volume = read_ct(given.ct, asked.series, asked.repair, progress)
    _check_slice(asked.slice_number, volume.geometry.shape[0])
    volume = volume.with_issues(*chest_check(volume))
    seconds = time.perf_counter() - start
    if not quiet:
        say_issues(volume.issues)
    if stored is not None:
        check_same_ct(volume, stored)
    explanation = stored if stored is not None else _explain(volume, known, asked.device, seconds)
    origin = Origin(given.ct, asked.series, asked.repair)
    return ExportCase(explanation, volume, picture_of(volume), origin=origin), len(volume.issues)


def _check_slice(number: int | None, n: int) -> None:
    if number is not None and number > n:
        raise typer.BadParameter(f"--slice {number}: there {agreed(n, 'is', 'are')} {counted(n, 'slice')}")


def _explain(volume: Any, model: Any, device: str, read_seconds: float) -> Explanation:
    from training.explain import explain

    say("Running the model.")
    with progress_bars() as progress:
        found = explain(model, volume, device, progress=progress)
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

    best = [explanation.labels[i] for i in explanation.scores.argsort()[::-1][:top]]
    chosen = tuple(dict.fromkeys(labels or best))
    return ExportRequest(chosen, frozenset(kind.value for kind in kinds), organs, grid, style)


def _new_issues(report: dict[str, Any], already: int) -> list[Any]:
    from training.issues import Issue, Severity

    found = [Issue(**(one | {"severity": Severity(one["severity"])})) for one in report["issues"]]
    return found[already:]


def _print(report: dict[str, Any], out: Path) -> None:
    for one in report["export"]["files"]:
        typer.echo(f"{one['bytes'] / 1000:10,.0f} KB  {one['path']}")
    typer.echo("For research only, not for clinical use.")
    wrote(out)
