"""What is asked of an export, what is known of its case, and what cannot work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from training.cohort.inputs import Origin
from training.evaluate.animation import ANIMATIONS, check_encoder
from training.evaluate.case_figures import FORMATS, FigureStyle
from training.explain.display import Unchanged
from training.explain.result import Explanation
from training.issues import InputError, error
from training.labels import chosen_labels
from training.partition.organs import Organs
from training.picture import Picture
from training.volume import Volume

ExportFormat = Literal["nifti", "dicom", "png", "pdf", "svg", "gif", "mp4"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = ("nifti", "dicom", *FORMATS, *ANIMATIONS)
Grid = Literal["both", "ct", "cells"]
GRIDS: tuple[Grid, ...] = ("both", "ct", "cells")


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


def check_maps(has_maps: bool, model: str) -> None:
    """Refuse to export from a model without maps; raises ``InputError``."""
    if not has_maps:
        raise InputError(error("no-map", f"{model} has no maps", "Export from a model that has maps."))


def check_request(case: ExportCase, request: ExportRequest) -> None:
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
