"""Ties state, case, canvas and panels together; takes results of workers in the order they were asked for.

Nothing here runs a network or touches a file, and nothing needs a window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel

from hirescam_napari._canvas import Canvas
from hirescam_napari._case import Case
from hirescam_napari._resolve import DisplayPlan, Readout, readout, resolve, slice_text
from hirescam_napari._state import WINDOWS, ViewState
from training.explain.placement import Placement
from training.explain.result import Explanation
from training.partition.cells import OrganCells
from training.partition.organs import Organs
from training.partition.reports.labels import ReportLabels

TOP_SLICES = "Top slice of each case"
Work = Literal["load", "run", "organs"]


class Ticket(NamedTuple):
    """What work was started and as the how-manieth; a result with an old number is stale."""

    work: Work
    number: int


class Panels(Protocol):
    """What the controller tells the panels; see :class:`hirescam_napari._panels.DockPanels`."""

    def show_case(self, case: Case) -> None:
        """Show another case: table, badge and plot; no label is selected yet."""

    def show_label(self, case: Case, label: str) -> None:
        """Show that ``label`` is selected."""

    def show_organs(self, case: Case) -> None:
        """Show that organs were found, or their cells, or another report: legend, budget, sentences."""

    def show_state(self, state: ViewState) -> None:
        """Show the display choices."""

    def show_group(self, group: float) -> None:
        """Move the plot's cursor."""

    def show_readout(self, text: str) -> None:
        """Show what lies under the mouse."""

    def labels_in_order(self) -> Sequence[str]:
        """Return the labels as the table shows them, top to bottom."""


class Controller:
    """One session in one viewer.

    Parameters
    ----------
    viewer
        Any napari viewer model.
    panels
        What shows tables and plots.
    state
        What to show at first.
    """

    def __init__(self, viewer: ViewerModel, panels: Panels, state: ViewState | None = None) -> None:
        self.viewer = viewer
        self.panels = panels
        self.state = ViewState() if state is None else state
        self.case = Case()
        self.canvas = Canvas(viewer)
        self.plan: DisplayPlan = resolve(self.state, self.case)
        self._tickets: dict[Work, int] = {"load": 0, "run": 0, "organs": 0}
        self._batch = 0
        self._hovered: Readout = Readout()
        self.state.events.connect(self.refresh)
        viewer.dims.events.point.connect(self._on_slice)
        viewer.mouse_move_callbacks.append(self._on_mouse)
        viewer.layers.events.removed.connect(self._on_removed)
        self.panels.show_state(self.state)

    def begin(self, work: Work) -> Ticket:
        """Start work; what was asked for before becomes stale. A load makes all other work stale too."""
        kinds: tuple[Work, ...] = ("load", "run", "organs") if work == "load" else (work,)
        for kind in kinds:
            self._tickets[kind] += 1
        return Ticket(work, self._tickets[work])

    def is_current(self, ticket: Ticket) -> bool:
        """Return False if other work was started, or this work was given up, since ``ticket``."""
        return self._tickets[ticket.work] == ticket.number

    def open_case(self, case: Case, ticket: Ticket | None = None) -> bool:
        """Show another case; return False if the result came too late and was dropped."""
        if ticket is not None and not self.is_current(ticket):
            return False
        with self._one_refresh():
            self.case = replace(case, explanation=None)
            self.state.label = None
            self.canvas.show_case(self.case, self.state.window)
            self.panels.show_case(self.case)
        if case.explanation is not None:
            self._show_explanation(case.explanation, case.cells)
        self._on_slice()
        return True

    def exchange_case(self, case: Case, label: str, **choices: object) -> None:
        """Show ``label`` of another explained case, in the layers that are there if they fit; drawn once.

        For steps through a cohort. ``choices`` are fields of the state to set as well.
        """
        self.begin("load")
        with self._one_refresh():
            self.case = case
            self.plan = resolve(self.state, Case())
            if not self.canvas.swap_case(case, self.state.window):
                self.canvas.show_case(case, self.state.window)
            self.panels.show_case(case)
            for name, value in {**choices, "label": label}.items():
                setattr(self.state, name, value)
        self._on_slice()

    def show_explanation(self, explanation: Explanation, ticket: Ticket | None = None) -> bool:
        """Show what a model said; the selected label stays if the model has it, else its most likely one is taken.

        Returns False if the result came too late and was dropped.
        """
        if ticket is not None and not self.is_current(ticket):
            return False
        self._show_explanation(explanation, {})
        return True

    def _show_explanation(self, explanation: Explanation, cells: Mapping[Placement, OrganCells]) -> None:
        with self._one_refresh():
            self.case = replace(self.case, explanation=explanation, cells=cells)
            self.panels.show_case(self.case)
            if self.state.label not in explanation.labels:
                self.state.label = explanation.labels[int(explanation.probabilities.argmax())]
        self._on_slice()

    def show_organs(
        self,
        organs: Organs,
        drawn: npt.NDArray[np.uint8],
        cells: Mapping[Placement, OrganCells],
        explanation: Explanation | None,
        ticket: Ticket | None = None,
    ) -> bool:
        """Show organs (``drawn`` on the picture's grid) and what follows from their ``cells`` on the maps.

        Cells of an explanation that is not shown any more are left out. Returns False if the result came too late and
        was dropped.
        """
        if ticket is not None and not self.is_current(ticket):
            return False
        fitting = cells if explanation is self.case.explanation else {}
        with self._one_refresh():
            self.case = replace(self.case, organs=organs, drawn_organs=drawn, cells=fitting)
        self.panels.show_organs(self.case)
        return True

    def attach_report(self, report: ReportLabels | None) -> None:
        """Show the sentences of ``report`` with the case, and the lung sides it names; None takes it away again."""
        with self._one_refresh():
            self.case = replace(self.case, report=report)
        self.panels.show_organs(self.case)

    def close_case(self) -> None:
        """Show nothing; results that are still under way are dropped."""
        self.begin("load")
        self.open_case(Case())

    def select(self, label: str) -> None:
        """Show ``label``, in the slice with its highest score."""
        self.state.label = label

    def step_label(self, step: int) -> None:
        """Go ``step`` rows down the table (up if negative), stopping at its ends."""
        labels = list(self.panels.labels_in_order())
        if labels:
            at = labels.index(self.state.label) + step if self.state.label in labels else 0
            self.state.label = labels[min(max(at, 0), len(labels) - 1)]

    def go_to_group(self, group: int) -> None:
        """Show the slice at slice group ``group``."""
        if self.case.explanation is not None:
            self.canvas.set_slice_mm(self.case.shown_mm(group))

    def go_to_top_slice(self) -> None:
        """Show the slice with the highest score of the selected label."""
        if self.plan.focus is not None and self.plan.focus.slice_mm is not None:
            self.canvas.set_slice_mm(self.plan.focus.slice_mm)

    def step_slice(self, step: int) -> None:
        """Go ``step`` slices of the CT towards the feet (the head if negative), stopping at its ends."""
        number = self.case.slice_at(self.canvas.slice_mm)
        if number is not None:
            self.canvas.set_slice_mm(self.case.slice_mm(min(max(number + step, 0), self.case.n_slices - 1)))

    def change(self, **fields: object) -> None:
        """Set several fields of the state and draw once."""
        with self._one_refresh():
            for name, value in fields.items():
                setattr(self.state, name, value)

    def actions(self) -> dict[str, Callable[[], None]]:
        """Return what keys and menus can ask for, by name (see :data:`hirescam_napari._keys.KEYS`)."""
        state = self.state
        return {
            **{f"window_{name}": partial(self.change, window=name) for name in WINDOWS},
            "toggle_layout": state.toggle_layout,
            "toggle_hirescam": lambda: state.toggle_method("hirescam"),
            "toggle_gradcam": lambda: state.toggle_method("gradcam"),
            "toggle_signed": lambda: self.change(signed=not state.signed),
            "toggle_placement": state.toggle_placement,
            "toggle_smooth": lambda: self.change(smooth=not state.smooth),
            "toggle_field": lambda: self.change(show_field=not state.show_field),
            "toggle_organs": lambda: self.change(show_organs=not state.show_organs),
            "toggle_region": lambda: self.change(show_region=not state.show_region),
            "go_to_top_slice": self.go_to_top_slice,
            "previous_slice": lambda: self.step_slice(-1),
            "next_slice": lambda: self.step_slice(1),
            "previous_label": lambda: self.step_label(-1),
            "next_label": lambda: self.step_label(1),
        }

    def use_canvas(self, canvas: Canvas) -> None:
        """Draw on ``canvas`` from now on, in the slice that is shown."""
        position = self.canvas.slice_mm
        with self._one_refresh():
            self.canvas.clear()
            self.canvas = canvas
            canvas.show_case(self.case, self.state.window)
        if self.case.picture is not None:
            canvas.set_slice_mm(position)
        self._on_slice()

    def refresh(self) -> None:
        """Draw what state and case ask for now."""
        if self._batch:
            return
        old, self.plan = self.plan, resolve(self.state, self.case)
        self.canvas.apply(self.plan)
        self.panels.show_state(self.state)
        if self.plan.focus is not None and self.plan.focus != old.focus:
            self.panels.show_label(self.case, self.plan.focus.label)
        if self._hovered.cell is not None:
            self._hover(Readout())

    def disconnect(self) -> None:
        """Leave the viewer: layers out, callbacks off; results still under way are dropped."""
        self.begin("load")
        self.state.events.disconnect(self.refresh)
        self.viewer.dims.events.point.disconnect(self._on_slice)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        if self._on_mouse in self.viewer.mouse_move_callbacks:
            self.viewer.mouse_move_callbacks.remove(self._on_mouse)
        self.canvas.clear()

    @contextmanager
    def _one_refresh(self) -> Iterator[None]:
        self._batch += 1
        try:
            yield
        finally:
            self._batch -= 1
        self.refresh()

    def _on_slice(self) -> None:
        position = self.canvas.slice_mm
        if not self.canvas.follows_slices:
            self.canvas.overlays.set_slice(TOP_SLICES)
            return
        self.canvas.overlays.set_slice(slice_text(self.case, position))
        group = self.case.group_at(position)
        if group is not None:
            self.panels.show_group(group)

    def hover(self, position_mm: tuple[float, float, float]) -> None:
        """Show what lies at ``position_mm`` (viewer's mm): values, and the box that the cell there could see."""
        self._hover(readout(self.state, self.case, position_mm))

    def _on_mouse(self, _viewer: ViewerModel, event: object) -> None:
        position = getattr(event, "position", None)
        if position is not None and len(position) == 3 and self.viewer.dims.ndisplay == 2:
            self.hover((float(position[0]), float(position[1]), float(position[2])))

    def _hover(self, found: Readout) -> None:
        if found.text != self._hovered.text:
            self.panels.show_readout(found.text)
        if found.field_mm != self._hovered.field_mm or not self.state.show_field:
            self.canvas.show_field(found.field_mm if self.state.show_field else None)
        self._hovered = found

    def _on_removed(self, event: object) -> None:
        if self.canvas.cts and getattr(event, "value", None) is self.canvas.cts[0] and not self._batch:
            self.close_case()
