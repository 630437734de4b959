"""One CT with its picture, its explanation and what is known about it; arrays, but no window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from hirescam_napari._layers import Picture, to_display, to_lps
from training.explain.display import Display, Policy
from training.explain.result import Explanation, Method
from training.volume import Volume

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
    """

    volume: Volume | None = None
    picture: Picture | None = None
    explanation: Explanation | None = None
    truth: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))

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
