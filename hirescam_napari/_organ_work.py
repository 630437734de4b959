"""Finds the organs of the open case on a worker thread, whenever something that is shown needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QTimer, Signal

from hirescam_napari._case import Case
from hirescam_napari._controller import Controller, Ticket
from hirescam_napari._engine import IsCancelled, Progress
from hirescam_napari._workers import Function, Job
from training.explain.placement import PLACEMENTS, Placement
from training.explain.result import Explanation
from training.issues import Cancelled
from training.partition.cells import OrganCells
from training.partition.organs import Organs

TITLE = "Finding the organs"
LAYING = "laying the organs on the maps"


@dataclass(frozen=True, eq=False)
class FoundOrgans:
    """What the work brings: organs, their labels on the picture's grid, and their cells on the maps of one result."""

    organs: Organs
    drawn: npt.NDArray[np.uint8]
    cells: Mapping[Placement, OrganCells]
    explanation: Explanation | None


def is_complete(case: Case, drawn: bool) -> bool:
    """Return True if there is nothing left to find for ``case``; ``drawn``: the organs themselves are to be shown."""
    maps = case.explanation is not None and case.explanation.has_maps
    lacking = (drawn and case.organs is None) or (maps and set(case.cells) != set(PLACEMENTS))
    return case.volume is None or not lacking


def organ_work(case: Case) -> Function:
    """Return work that finds what ``case`` lacks and gives :class:`FoundOrgans`."""

    def work(progress: Progress, cancelled: IsCancelled) -> FoundOrgans:
        organs = _organs_of(case, progress, cancelled)
        drawn = case.drawn_organs if case.drawn_organs is not None else _drawn(case, organs)
        cells = {place: made for place in PLACEMENTS if (made := _cells(case, organs, place, progress)) is not None}
        case.regions.clear()
        replace(case, cells=cells).remember_regions()
        return FoundOrgans(organs, drawn, cells, case.explanation)

    return work


def _organs_of(case: Case, progress: Progress, cancelled: IsCancelled) -> Organs:
    if case.organs is not None:
        return case.organs
    if case.volume is None:
        raise Cancelled("there is no CT to find organs in")
    from training.partition.segment import segment_organs

    def told(done: int, total: int, stage: str) -> None:
        progress(done, total, "finding the organs" if stage == "organs" else stage)

    return segment_organs(case.volume, progress=told, cancelled=cancelled)


def _drawn(case: Case, organs: Organs) -> npt.NDArray[np.uint8]:
    """Return the labels on the picture's grid: themselves unless the CT lies obliquely."""
    if case.picture is None or case.picture.geometry.allclose(organs.geometry):
        return organs.labels
    from training.partition.grids import nearest_labels

    return np.asarray(nearest_labels(organs.labels, organs.geometry, case.picture.geometry), dtype=np.uint8)


def _cells(case: Case, organs: Organs, placement: Placement, progress: Progress) -> OrganCells | None:
    explanation = case.explanation
    if explanation is None or not explanation.has_maps:
        return None
    from training.partition.cells import organ_cells_at

    progress(PLACEMENTS.index(placement), len(PLACEMENTS), LAYING)
    return organ_cells_at(organs, explanation.input_geometry, explanation.cells, placement)


class OrganFinder(QObject):
    """Starts the work when it is wanted and something is missing; drops it when another case is opened.

    Parameters
    ----------
    controller
        Whose case it looks at and whom it brings the result.
    wanted
        Says whether anything that is shown beside the organs themselves needs them.
    parent
        Qt parent.
    """

    changed = Signal()
    """The work has begun or ended; ``running`` and ``problem`` tell how."""
    progressed = Signal(int, int, str)

    def __init__(self, controller: Controller, wanted: Callable[[], bool], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.controller = controller
        self.problem: Exception | None = None
        self.job: Job | None = None
        self._wanted = wanted
        self._refused: object = None
        self._working_on: object = None

    @property
    def running(self) -> bool:
        """True while the work is under way."""
        return self.job is not None and self.job.running

    def update(self) -> None:
        """Start what is wanted and missing, stop what is for another case."""
        case = self.controller.case
        if self.running and self._working_on is not case.volume:
            self._drop()
        drawn = self.controller.state.show_organs
        if self.running or is_complete(case, drawn) or self._refused is case.volume or not (drawn or self._wanted()):
            return
        self._start(case)

    def find(self) -> None:
        """Forget that the work was cancelled or failed for this case, and start it if it is wanted."""
        self._refused = None
        self.update()

    def cancel(self) -> None:
        """Give the work up for this case."""
        self._refused = self.controller.case.volume
        self._drop()

    def wait(self, seconds: float) -> None:
        """Let the thread end."""
        if self.job is not None:
            self.job.wait(seconds)

    def _start(self, case: Case) -> None:
        self.problem = None
        self._working_on = case.volume
        ticket = self.controller.begin("organs")
        job = self.job = Job(organ_work(case), TITLE, self)
        job.progressed.connect(self.progressed)
        job.succeeded.connect(partial(self._on_found, ticket))
        job.failed.connect(self._on_failed)
        for signal in (job.succeeded, job.failed, job.cancelled):
            signal.connect(lambda *_: QTimer.singleShot(0, self.changed.emit))
        job.start()
        self.changed.emit()

    def _drop(self) -> None:
        if self.job is not None and self.job.running:
            self.job.cancel()

    def _on_found(self, ticket: Ticket, found: FoundOrgans) -> None:
        self.controller.show_organs(found.organs, found.drawn, found.cells, found.explanation, ticket)
        self.update()

    def _on_failed(self, problem: Exception) -> None:
        self.problem, self._refused = problem, self.controller.case.volume
