"""One prediction as a picture for the report: CT where it is at hand, map, and where the abnormality may lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.cohort.results import CohortStore
from training.evaluate.audit.source import SourceCT, source_ct
from training.evaluate.audit.verdicts import Subject
from training.evaluate.case_figures import CaseFigure, FigureStyle
from training.evaluate.figure_marks import draw_outline, plane_extent
from training.explain.placement import Placement
from training.explain.result import METHODS
from training.picture import WINDOWS, Picture, picture_of, to_lps

DPI = 110


@dataclass(frozen=True)
class Illustrated:
    """A prediction with its picture; ``has_ct`` is False where the CT was not at hand."""

    subject: Subject
    figure: CaseFigure
    has_ct: bool


class Illustrator:
    """Draws predictions of one store; several labels of one case in a row read its CT once.

    Parameters
    ----------
    store
        The cohort.
    """

    def __init__(self, store: CohortStore) -> None:
        self.store = store
        self._case: str | None = None
        self._picture: Picture | None = None

    def draw(self, subject: Subject, view: Mapping[str, Any] | None = None) -> Illustrated:
        """Return the picture of ``subject``, in the slice and window of ``view`` if a reviewer left one.

        Raises
        ------
        InputError
            If the stored case is damaged, or the model has no maps.
        """
        picture, explanation = self._picture_of(subject.case), self.store.explanation(subject.case)
        figure = CaseFigure(explanation, picture, subject.label, _style(view or {}, picture is not None))
        figure.show_slice(_slice(figure, view or {}))
        allowed = self.store.allowed(subject.case, subject.label, figure.style.placement)
        group = figure.group_at(figure.slice)
        if allowed is not None and group is not None:
            outline(figure, allowed[group])
        return Illustrated(subject, figure, picture is not None)

    def _picture_of(self, case: str) -> Picture | None:
        if case != self._case:
            found: SourceCT = source_ct(self.store, case)
            self._picture = None if found.volume is None else picture_of(found.volume)
            self._case = case
        return self._picture


def outline(figure: CaseFigure, cells: npt.NDArray[np.floating]) -> None:
    """Draw the border of ``cells`` [D1, D2] over every map of ``figure``."""
    for axes in figure.map_axes:
        draw_outline(axes, cells, plane_extent(figure.grid))


def _style(view: Mapping[str, Any], has_ct: bool) -> FigureStyle:
    """Return the look that a reviewer left, as far as it is known here; both maps where there is no CT beside them."""
    state = view.get("state", {})
    methods = tuple(method for method in METHODS if not has_ct or method in state.get("methods", ("hirescam",)))
    low, high = view.get("contrast_hu") or WINDOWS["lung"].limits_hu
    placement: Placement = "stretch" if state.get("placement") == "stretch" else "receptive_field"
    return FigureStyle(methods or ("hirescam",), (float(low), float(high)), placement, dpi=DPI)


def _slice(figure: CaseFigure, view: Mapping[str, Any]) -> int:
    """Return the slice nearest to where the reviewer stood, the top slice by default."""
    position = view.get("slice_mm")
    if position is None:
        return figure.top_slice
    grid = figure.grid if figure.picture is None else figure.picture.geometry
    number = round(float(grid.to_index(to_lps((float(position), 0.0, 0.0)))[0]))
    return min(max(number, 0), figure.n_slices - 1)
