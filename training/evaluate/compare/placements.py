"""The placements of a case compared: how far the stretched drawing stands from where the cells look (figure 5)."""

from __future__ import annotations

import numpy as np

from training.explain.result import Explanation
from training.geometry import FloatArray


def placement_shift_mm(explanation: Explanation) -> FloatArray:
    """Return how far the stretched drawing stands from where the cells look, mm, [D1, D2, 2] (down, across).

    Along the slice axis the two placements of a network that takes slices in groups agree.
    """
    looked, drawn = explanation.geometry(placement="receptive_field"), explanation.geometry(placement="stretch")
    _, rows, columns = explanation.cells.n_cells
    index = np.stack(np.meshgrid([0], np.arange(rows), np.arange(columns), indexing="ij"), axis=-1)[0]
    shift = (drawn.to_world(index) - looked.to_world(index)) @ looked.direction
    return np.asarray(shift[..., 1:], dtype=np.float64)


def shift_words(explanation: Explanation) -> str:
    """Return in one sentence how far the two placements are apart."""
    shift = placement_shift_mm(explanation)
    if not np.abs(shift).max() > 0.05:
        return "Both placements are the same for this model."
    down, across = np.abs(shift).max(axis=(0, 1))
    far = float(np.linalg.norm(shift, axis=-1).max())
    return (
        f"The stretched drawing stands up to {down:.0f} mm (down) and {across:.0f} mm (across) from where the cells "
        f"look, {far:.0f} mm at the corners."
    )
