"""Synthetic explanations for tests: small, consistent, no network involved."""

from __future__ import annotations

from typing import Literal

import numpy as np

from training.explain import cam
from training.explain.result import Explanation, ModelInfo
from training.geometry import CellLayout, Geometry, ReceptiveField
from training.labels import label_names

Architecture = Literal["axialnet", "axialnet-same", "axialnet-local"]

_IN_PLANE = {
    "axialnet": ReceptiveField(691, 32.0, 128.0),
    "axialnet-same": ReceptiveField(691, 32.0, 0.0),
    "axialnet-local": ReceptiveField(99, 8.0, 0.0),
}


def make_explanation(
    n_labels: int = 80,
    n_groups: int = 27,
    cells: tuple[int, int] = (6, 6),
    seed: int = 0,
    architecture: Architecture = "axialnet",
    n_features: int = 16,
    in_plane: int = 420,
    spacing_mm: float = 0.8,
    holds: bool = True,
) -> Explanation:
    """Return an explanation whose scores are the closed form in float64; Z is non-negative, as after a ReLU.

    The CT has slices of 2.4 mm and 512 x 512 px over the field of view of the model input.
    """
    rng = np.random.default_rng(seed)
    z = np.maximum(rng.normal(0.2, 1.0, (n_groups, n_features, *cells)), 0).astype(np.float32)
    weights = rng.normal(0, 0.05, (n_labels, n_features, *cells)).astype(np.float32)
    bias = rng.normal(-1, 0.5, n_labels).astype(np.float32)
    labels = label_names()[:n_labels]
    grid = Geometry.canonical((3 * n_groups, in_plane, in_plane), (spacing_mm,) * 3, (-160.0, -160.0, 900.0))
    in_plane_field = _IN_PLANE[architecture]
    return Explanation(
        case_id="synthetic",
        labels=labels,
        z=z,
        weights=weights,
        bias=bias,
        scores=cam.scores(z, weights, bias),
        input_geometry=grid,
        image_geometry=grid.resampled((3 * spacing_mm, spacing_mm * in_plane / 512, spacing_mm * in_plane / 512)),
        cells=CellLayout((n_groups, *cells), (ReceptiveField(3, 3.0, 1.0), in_plane_field, in_plane_field)),
        model=ModelInfo(
            name=f"{architecture}:synthetic",
            sha256="0" * 64,
            architecture=architecture,
            guarantee="one-fully-connected" if holds else "none",
            guarantee_words="The head is one fully connected layer." if holds else "The head carries no guarantee.",
            guarantee_holds=holds,
            mean_probability=dict(zip(labels, rng.uniform(0.05, 0.5, n_labels).tolist(), strict=True)),
            threshold=dict.fromkeys(labels, 0.5),
            input_spec={"spacing_mm": [spacing_mm] * 3, "shape": list(grid.shape), "group": 3},
        ),
        seconds={"preprocess": 0.1, "trunk": 1.0, "maps": 0.001},
        peak_rss_bytes=100_000_000,
    )
