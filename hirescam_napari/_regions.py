"""Where an abnormality may lie, as the viewer draws and counts it: cells, their outline, shares of the score budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.explain.budget import place_shares
from training.partition.allowed import FloatMask
from training.partition.cells import OrganCells

Lines = npt.NDArray[np.float32]
"""[N, 2, 3]: starts and directions of straight lines; axis 0 in slice groups, rows and columns in cells."""


@dataclass(frozen=True, eq=False)
class Region:
    """The cells in which an abnormality may lie.

    ``cells`` is float32 [H, D1, D2], 0 or 1; ``lines`` run around them in every slice group; ``shares`` is
    [4, H, D1, D2] as :func:`training.explain.budget.place_shares` gives it.
    """

    cells: FloatMask
    lines: Lines
    shares: npt.NDArray[np.float64]


def region_in(cells: OrganCells, label: str, sides: frozenset[str]) -> Region:
    """Return where ``label`` may lie; ``sides`` narrow a label of the lungs.

    Raises
    ------
    KeyError
        If the label is not one of the 80.
    """
    allowed = cells.allowed(label, sides)
    shares = place_shares(cells.allowed_share(label, sides), cells.organ_share, cells.body)
    return Region(allowed, outline(allowed > 0), shares)


def outline(mask: npt.NDArray[np.bool_]) -> Lines:
    """Return the lines around the True cells of ``mask`` [H, D1, D2], in every slice group by itself.

    Cell i spans i - 0.5 .. i + 0.5. Neighbouring edges of one straight line are one line.
    """
    rows, columns = np.pad(mask, ((0, 0), (1, 1), (0, 0))), np.pad(mask, ((0, 0), (0, 0), (1, 1)))
    horizontal = _runs(rows[:, 1:] != rows[:, :-1])
    vertical = _runs(np.swapaxes(columns[..., 1:] != columns[..., :-1], 1, 2))
    return np.concatenate([_lines(horizontal, (1, 2)), _lines(vertical, (2, 1))])


def no_lines() -> Lines:
    """Return lines around nothing."""
    return np.zeros((0, 2, 3), dtype=np.float32)


def _runs(edges: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return [N, 4]: slice group, line, first and last + 1 of every run of True along the last axis."""
    padded = np.pad(edges, ((0, 0), (0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(padded, axis=2)
    starts, stops = np.argwhere(steps == 1), np.argwhere(steps == -1)
    return np.concatenate([starts, stops[:, 2:]], axis=1)


def _lines(runs: npt.NDArray[np.intp], axes: tuple[int, int]) -> Lines:
    """Return ``runs`` as lines; ``axes`` are the one that counts the lines and the one they run along."""
    lines = np.zeros((len(runs), 2, 3), dtype=np.float32)
    lines[:, 0, 0] = runs[:, 0]
    lines[:, 0, axes[0]] = runs[:, 1] - 0.5
    lines[:, 0, axes[1]] = runs[:, 2] - 0.5
    lines[:, 1, axes[1]] = runs[:, 3] - runs[:, 2]
    return lines
