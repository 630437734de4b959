"""From cases to what a step needs: which cases go where, read and varied ahead of time by threads."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.fit.augment import Variation, augmented, case_stream, draw_variation
from training.fit.cases import Cases
from training.fit.regions import RegionRequest, considered_labels, organ_choice
from training.fit.settings import AugmentSettings
from training.issues import InputError, error

AHEAD = 2
"""CTs that wait ready, for each thread that reads them."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Pass:
    """Cases that go through the network of one process together.

    ``counted`` is False for a process that has nothing left to do in a step: it repeats a case, whose loss counts
    nothing, because all processes take every pass together.
    """

    cases: tuple[int, ...]
    counted: bool = True


def passes_of(cases: Sequence[int], size: int, process: int = 0, processes: int = 1) -> tuple[Pass, ...]:
    """Return the passes of ``process`` for one step over ``cases``, ``size`` at a time, dealt out in turn."""
    chunks = [tuple(cases[start : start + size]) for start in range(0, len(cases), size)]
    rounds = -(-len(chunks) // processes)
    dealt = [round_ * processes + process for round_ in range(rounds)]
    return tuple(Pass(chunks[k]) if k < len(chunks) else Pass(chunks[0][:1], counted=False) for k in dealt)


class Regions(NamedTuple):
    """What the mask loss needs of B cases: organ cells [B, 3, H, D1, D2], choice [B, M, 3], considered [B, M]."""

    organ_cells: Tensor
    choice: Tensor
    considered: Tensor


class Batch(NamedTuple):
    """B cases as tensors on the CPU.

    ``hu`` is int16 [B, slice, row, column], ``targets`` float32 [B, M], ``places`` float32 [B, M, H, R, C].
    """

    cases: tuple[int, ...]
    hu: Tensor
    targets: Tensor
    regions: Regions | None
    places: Tensor | None


@dataclass(frozen=True, eq=False)
class Loader:
    """Reads cases, varied for training or as they are.

    Parameters
    ----------
    cases
        Where from.
    augment
        How training CTs are varied; None to leave them as they are.
    seed
        Of the variations.
    request
        What the mask loss asks of the data; None without one.
    with_places
        Whether the places of the abnormalities are needed.
    pinned
        Put the CTs into page-locked memory, from which a GPU copies faster.
    """

    cases: Cases
    augment: AugmentSettings | None = None
    seed: int = 0
    request: RegionRequest | None = None
    with_places: bool = False
    pinned: bool = False

    def load(self, rows: tuple[int, ...], epoch: int = 0) -> Batch:
        """Return the cases ``rows`` as ``epoch`` varies them; raises ``InputError`` naming a case that cannot be used.

        The same for the same (seed, epoch, row), in any thread, in any order.
        """
        draws = [case_stream(self.seed, epoch, row) for row in rows]
        variations = [None if self.augment is None else draw_variation(self.augment, rng) for rng in draws]
        volumes = [
            self.cases.hu(row) if variation is None else augmented(self.cases.hu(row), variation, rng)
            for row, variation, rng in zip(rows, variations, draws, strict=True)
        ]
        hu = torch.from_numpy(np.stack(volumes))
        targets = torch.from_numpy(self.cases.targets[list(rows)])
        places = self._places(rows, variations, volumes[0].shape) if self.with_places else None
        return Batch(rows, hu.pin_memory() if self.pinned else hu, targets, self._regions(rows, variations), places)

    def _regions(self, rows: Sequence[int], variations: Sequence[Variation | None]) -> Regions | None:
        if self.request is None:
            return None
        request, labels, settings = self.request, self.cases.labels, self.request.settings
        cells, choices, considered = [], [], []
        for row, variation in zip(rows, variations, strict=True):
            organs = self.cases.organ_cells(row, request)
            if organs is None:
                way_out = "Set loss.mask = none, or loss.organs = partition or heuristic."
                raise InputError(error("no-organs", f"case {self.cases.case_ids[row]} has no organs.", way_out))
            targets = self.cases.targets[row]
            cells.append(organs if variation is None else variation.moved(organs, 0, request.jump_px))
            choices.append(organ_choice(labels, targets, self.cases.sides(row), settings))
            considered.append(considered_labels(labels, targets, settings))
        stacked = (torch.from_numpy(np.stack(parts)) for parts in (cells, choices, considered))
        return Regions(*stacked)

    def _places(self, rows: Sequence[int], variations: Sequence[Variation | None], shape: Sequence[int]) -> Tensor:
        """Return where the abnormalities are once the cases are varied: float32 [B, M, H, R, C]."""
        moved = []
        for row, variation in zip(rows, variations, strict=True):
            places = known_places(self.cases, row)
            slices, rows_, columns = (round(n / blocks) for n, blocks in zip(shape, places.shape[1:], strict=True))
            moved.append(places if variation is None else variation.moved(places, 0, (slices, rows_, columns)))
        return torch.from_numpy(np.stack(moved).astype(np.float32))


def known_places(cases: Cases, case: int) -> npt.NDArray[np.uint8]:
    """Return where the abnormalities of a case are; raises ``InputError`` naming a case of which that is not known."""
    places = cases.places(case)
    if places is None:
        way_out = "Set loss.places = 0, or train on phantoms."
        raise InputError(error("no-places", f"case {cases.case_ids[case]} has no known places.", way_out))
    return places


def fed(work: Callable[[T], R], items: Sequence[T], workers: int) -> Generator[tuple[R, float]]:
    """Yield ``work(item)`` in order, worked out ahead by ``workers`` threads, and the seconds it was waited for.

    With 0 workers the work is done in between, and all of its time counts as waiting.
    """
    if not workers:
        for item in items:
            started = time.perf_counter()
            result = work(item)
            yield result, time.perf_counter() - started
        return
    pool = ThreadPoolExecutor(workers, "reading")
    try:
        for future in _submitted(pool, work, items, workers * AHEAD):
            started = time.perf_counter()
            result = future.result()
            yield result, time.perf_counter() - started
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Sequence[T], ahead: int) -> Iterator[Future[R]]:
    waiting: deque[Future[R]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > ahead:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
