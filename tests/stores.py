"""Cohort stores for tests: small, random, consistent; no network involved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.explanations import make_explanation
from training.cohort.results.fill import Plan, create_store, filling, write_pending
from training.cohort.results.layout import AUTHORS_CELLS, Layout, ZDtype
from training.cohort.results.sources import Origin
from training.explain import cam
from training.explain.result import Explanation
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
    dense: bool = False,
    n_features: int = 4,
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
    dense
        Z without a zero and all of it noise, which compresses least.
    options
        As for ``make_explanation`` in tests/explanations.py.
    """
    made = [
        make_explanation(n_labels, n_groups, cells, seed + n, n_features=n_features, in_plane=60, **options)
        for n in range(n_cases)
    ]
    if dense:
        noise = np.random.default_rng(seed)
        made = [replace(one, z=np.abs(noise.normal(0, 1, one.z.shape)).astype(np.float32)) for one in made]
    cases = [_of(made[0], one, _name(n)) for n, one in enumerate(made)]
    plan = plan_of(cases, organs, truth, z_dtype, origin)
    create_store(folder, plan)
    for row, case in enumerate(cases):
        if row not in missing:
            arrays = organ_arrays_of(case.cells.n_cells) if organs else None
            write_pending(folder, row, plan.layout, case, arrays, {"passed": True})
    with filling(folder) as store:
        store.gather()
    return folder


def plan_of(
    cases: Sequence[Explanation],
    organs: bool = True,
    truth: bool = True,
    z_dtype: ZDtype = "float32",
    origin: Origin | None = None,
) -> Plan:
    """Return the plan of a store of ``cases``, under the names and splits of :func:`make_store`."""
    first, n_groups = cases[0], cases[0].cells.n_cells[0]
    scores = np.stack([case.scores for case in cases])
    known = (scores > np.median(scores, axis=0)).astype(np.int8)
    return Plan(
        cases=[_name(n) for n in range(len(cases))],
        splits=[SPLITS[n % 2] for n in range(len(cases))],
        labels=first.labels,
        truth=known if truth else np.full_like(known, -1),
        sides=np.zeros(known.shape, dtype=np.uint8),
        model=first.model,
        input_spec=InputSpec((0.8, 0.8, 0.8), first.input_geometry.shape),
        layout=Layout(
            len(cases), len(first.labels), first.cells, first.z.shape[1], n_groups, z_dtype, has_organs=organs
        ),
        head=(first.weights.astype(np.float32), first.bias.astype(np.float32)),
        made_with={"precision": "fp32"},
        origin=origin or Origin(),
    )


def _name(n: int) -> str:
    return f"case-{n:04d}"


def _of(first: Explanation, case: Explanation, name: str) -> Explanation:
    """Return ``case`` with the head of ``first``."""
    scores = cam.scores(case.z, first.weights, first.bias)
    return replace(case, case_id=name, weights=first.weights, bias=first.bias, model=first.model, scores=scores)


def organ_arrays_of(n_cells: tuple[int, int, int]) -> dict[str, np.ndarray]:
    bits = _organ_bits(n_cells)
    shares = [255 * (bits >> bit & 1) for bit in range(3)]
    body = np.full_like(bits, 255)
    return {
        "organs": np.stack([bits, bits]),
        "authors_organs": _organ_bits((n_cells[0], *AUTHORS_CELLS)),
        "organ_shares": np.stack([[*shares, body]] * 2),
    }


def _organ_bits(n_cells: tuple[int, int, int]) -> np.ndarray:
    bits = np.zeros(n_cells, dtype=np.uint8)
    half, rows = n_cells[2] // 2, n_cells[1]
    bits[..., :half] |= 1
    bits[..., -half:] |= 2
    bits[..., rows // 3 : -(-2 * rows // 3), n_cells[2] // 2] = 4
    return bits
