"""Cohort stores for tests: small, random, consistent; no network involved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.explanations import make_explanation
from training.cohort.results.fill import Plan, create_store, filling, write_pending
from training.cohort.results.layout import Layout, ZDtype
from training.cohort.results.sources import Origin
from training.preprocess import InputSpec

SPLITS = ("valid", "test")


def make_store(
    folder: Path,
    n_cases: int = 6,
    n_labels: int = 5,
    n_groups: int = 4,
    cells: tuple[int, int] = (3, 3),
    seed: int = 0,
    z_dtype: ZDtype = "float32",
    organs: bool = True,
    truth: bool = True,
    missing: Sequence[int] = (),
    origin: Origin | None = None,
    **options: Any,
) -> Path:
    """Write a store to ``folder`` and return it.

    Case ``n`` is called ``case-000n``, is of split ``valid`` if n is even, else ``test``, and has the explanation of
    seed ``seed + n`` with the weights of the first. Right lung: the lower half of the columns; left lung: the upper;
    mediastinum: the middle column of the middle rows. A label is present where its score is above the median.

    Parameters
    ----------
    truth
        False leaves all labels unknown.
    missing
        Cases that are planned but have no result.
    options
        As for ``make_explanation`` in tests/explanations.py.
    """
    made = [
        make_explanation(n_labels, n_groups, cells, seed + n, n_features=4, in_plane=60, **options)
        for n in range(n_cases)
    ]
    first, names = made[0], [f"case-{n:04d}" for n in range(n_cases)]
    explanations = [_of(first, one, name) for one, name in zip(made, names, strict=True)]
    scores = np.stack([case.scores for case in explanations])
    known = (scores > np.median(scores, axis=0)).astype(np.int8)
    layout = Layout(n_cases, n_labels, first.cells, 4, z_dtype, has_organs=organs)
    plan = Plan(
        cases=names,
        splits=[SPLITS[n % 2] for n in range(n_cases)],
        labels=first.labels,
        truth=known if truth else np.full_like(known, -1),
        sides=np.zeros(known.shape, dtype=np.uint8),
        model=first.model,
        input_spec=InputSpec((0.8, 0.8, 0.8), first.input_geometry.shape),
        layout=layout,
        head=(first.weights.astype(np.float32), first.bias.astype(np.float32)),
        made_with={"precision": "fp32"},
        origin=origin or Origin(),
    )
    create_store(folder, plan)
    for row, case in enumerate(explanations):
        if row not in missing:
            write_pending(folder, row, layout, case, _organs(first.cells.n_cells) if organs else None, {"passed": True})
    with filling(folder) as store:
        store.gather()
    return folder


def _of(first: Any, case: Any, name: str) -> Any:
    """Return ``case`` with the head of ``first``."""
    from training.explain import cam

    scores = cam.scores(case.z, first.weights, first.bias)
    return replace(case, case_id=name, weights=first.weights, bias=first.bias, model=first.model, scores=scores)


def _organs(n_cells: tuple[int, int, int]) -> dict[str, np.ndarray]:
    bits = np.zeros((3, *n_cells), dtype=np.uint8)
    half, rows = n_cells[2] // 2, n_cells[1]
    bits[..., :half] |= 1
    bits[..., -half:] |= 2
    bits[..., rows // 3 : -(-2 * rows // 3), n_cells[2] // 2] = 4
    shares = [255 * (bits[:2] >> bit & 1) for bit in range(3)]
    body = np.full_like(shares[0], 255)
    return {"organs": bits, "organ_shares": np.stack([*shares, body], axis=1)}
