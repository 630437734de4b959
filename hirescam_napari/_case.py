"""One CT with its picture, its explanation and what is known about it; arrays, but no window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hirescam_napari._layers import Picture, to_display, to_lps
from hirescam_napari._regions import Region, region_in
from training.explain.budget import ScoreBudget, score_budget
from training.explain.display import Display, PerLabel, Policy
from training.explain.placement import Placement
from training.explain.result import Explanation, Method
from training.labels import find_label, is_known
from training.partition.cells import OrganCells
from training.partition.organs import Organs
from training.partition.reports.labels import ReportLabels
from training.volume import Volume

if TYPE_CHECKING:
    from training.cohort.inputs import Origin
    from training.evaluate.bands import Bands

_KEPT = 64
"""Scaled maps that a case remembers; a map is a few hundred KB."""


@dataclass(frozen=True, eq=False)
class Case:
    """What the session shows.

    Parameters
    ----------
    volume
        The CT as read; None for a stored result that was opened without its CT.
    picture
        The CT as drawn.
    explanation
        None until a model has run.
    truth
        Whether an abnormality is present, by label name, where that is known.
    organs
        The segmentation on the volume's grid; None until it was asked for.
    drawn_organs
        uint8, its labels on the picture's grid.
    cells
        Organs and body on the cells of the explanation's maps, by placement; empty until they were worked out.
    regions
        Where abnormalities may lie, remembered by cells, organ group and sides; worked out when first asked for.
    report
        The labels of the report that was attached; None without one.
    origin
        How the CT was read from a file; None for CTs that never were one.
    view
        What was shown of it when it was saved, to be shown again; None otherwise.
    second
        The result of the model that it was compared with when it was saved; None otherwise.
    bands
        Gives the slice scores of the cohort that the case is of (:mod:`training.evaluate.bands`), by label.
    """

    volume: Volume | None = None
    picture: Picture | None = None
    explanation: Explanation | None = None
    truth: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    organs: Organs | None = None
    drawn_organs: npt.NDArray[np.uint8] | None = None
    cells: Mapping[Placement, OrganCells] = field(default_factory=lambda: MappingProxyType({}))
    regions: dict[tuple[OrganCells, str, frozenset[str]], Region] = field(default_factory=dict, repr=False)
    report: ReportLabels | None = None
    bands: Callable[[str], Bands | None] = lambda _label: None
    origin: Origin | None = None
    view: Mapping[str, Any] | None = None
    second: Explanation | None = None

    @cached_property
    def _displays(self) -> dict[tuple[Policy, str, Method], Display]:
        return {}

    def display(self, policy: Policy, label: str, method: Method) -> Display:
        """Return the map of ``label`` scaled by ``policy``; the same object when asked again.

        Raises
        ------
        ValueError
            If there is no explanation.
        """
        if self.explanation is None:
            raise ValueError("the case has no explanation yet")
        key = (policy, label, method)
        if key not in self._displays:
            while len(self._displays) >= _KEPT:
                self._displays.pop(next(iter(self._displays)))
            self._displays[key] = policy.show(self.explanation, label, method)
        return self._displays[key]

    @property
    def report_text(self) -> str | None:
        """The text of the attached report."""
        return None if self.report is None else self.report.text

    def sides(self, label: str) -> frozenset[str]:
        """Return the lung sides that the report names for ``label``; empty means both, or unknown."""
        return frozenset() if self.report is None else frozenset(self.report.sides(label))

    def region(self, label: str, placement: Placement = "receptive_field") -> Region | None:
        """Return where ``label`` may lie on the maps; the same object for all labels of the same place.

        None before organs and explanation are there, and for labels that are not among the 80.
        """
        cells = self.cells.get(placement)
        if cells is None or not is_known(label):
            return None
        group = find_label(label).organ_group
        sides = self.sides(label) if group == "lung" else frozenset()
        found = self.regions.get((cells, group, sides))
        if found is None:
            found = self.regions[cells, group, sides] = region_in(cells, label, sides)
        return found

    def remember_regions(self) -> None:
        """Work out where each label of the explanation may lie, on a worker's thread instead of the window's."""
        if self.explanation is None or not self.explanation.has_maps:
            return
        for placement in self.cells:
            for label in self.explanation.labels:
                self.region(label, placement)

    def allowed(self, label: str, placement: Placement = "receptive_field") -> npt.NDArray[np.float32] | None:
        """Return the cells in which ``label`` may lie, float32 [H, D1, D2], 0 or 1; None where that is unknown."""
        found = self.region(label, placement)
        return None if found is None else found.cells

    def budget(self, label: str, placement: Placement = "receptive_field") -> ScoreBudget | None:
        """Return where the score of ``label`` came from; None as for :meth:`region`, and for models without maps."""
        found = self.region(label, placement)
        if found is None or self.explanation is None or not self.explanation.has_maps:
            return None
        values = self.display(PerLabel(), label, "hirescam").values
        return score_budget(values, float(self.explanation.bias[self.explanation.index(label)]), found.shares)

    @property
    def n_slices(self) -> int:
        """Slices of the picture; 0 without one."""
        return 0 if self.picture is None else self.picture.geometry.shape[0]

    def slice_at(self, slice_mm: float) -> int | None:
        """Return the slice of the picture nearest to ``slice_mm`` (viewer's mm), None without a picture."""
        if self.picture is None:
            return None
        number = round((slice_mm - self.slice_mm(0)) / self.picture.geometry.spacing_mm[0])
        return min(max(number, 0), self.n_slices - 1)

    def slice_mm(self, number: int) -> float:
        """Return where slice ``number`` of the picture is centred, viewer's mm.

        Raises
        ------
        ValueError
            If there is no picture.
        """
        if self.picture is None:
            raise ValueError("the case has no CT")
        return float(to_display(self.picture.geometry.to_world((number, 0.0, 0.0)))[0])

    def group_at(self, slice_mm: float) -> float | None:
        """Return the slice group, as a fraction, at ``slice_mm`` (viewer's mm), None without an explanation."""
        if self.explanation is None:
            return None
        return float(self.explanation.geometry().to_index(to_lps((slice_mm, 0.0, 0.0)))[0])

    def group_mm(self, group: float) -> float:
        """Return where slice group ``group`` is centred, viewer's mm along the slice axis.

        Raises
        ------
        ValueError
            If there is no explanation.
        """
        if self.explanation is None:
            raise ValueError("the case has no explanation yet")
        return float(to_display(self.explanation.geometry().to_world((group, 0.0, 0.0)))[0])

    def shown_mm(self, group: int) -> float:
        """Return the position nearest to slice group ``group`` where there is CT to see, viewer's mm."""
        wanted = self.group_mm(group)
        if self.picture is None:
            return wanted
        return min(max(wanted, self.slice_mm(0)), self.slice_mm(self.n_slices - 1))
