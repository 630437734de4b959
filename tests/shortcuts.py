"""A cohort with a planted shortcut: a label that a model learnt from a metal token on the chest wall.

The model is as small as a model can be, and learns the shortcut by itself: fixed features (the shares of each cell's
voxels that are metal, fat, soft tissue, soft tissue beside lung) and a head of one layer, the same for every cell,
fitted with an L1 penalty to phantoms in which everybody with a lung nodule wears a token. The phantoms that are audited
wear tokens by chance. Some truths are turned round on purpose.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.cohort.phantom import PhantomGrid, make_phantom
from training.cohort.results import open_store
from training.cohort.results.fill import Plan, create_store, filling, write_pending
from training.cohort.results.layout import Layout
from training.cohort.results.organs import organ_arrays
from training.cohort.results.sources import Origin
from training.explain import cam
from training.explain.result import Explanation, ModelInfo
from training.geometry import CellLayout, ReceptiveField
from training.io import read_ct
from training.io.write import write_nifti
from training.partition.segment import segment_organs
from training.preprocess import InputSpec, prepare

SHORTCUT = "lung nodule"
LABELS = (SHORTCUT, "pleural effusion", "cardiomegaly")
GRID = PhantomGrid((54, 72, 72), (6.0, 4.6, 4.6))
SPEC = InputSpec((6.0, 4.5, 4.5), (54, 72, 72))
BANDS_HU = ((900, 4000), (-200, -40), (0, 120), (-950, -600))
"""Metal; fat; soft tissue and fluid; lung."""

FLUID = 2
FEATURES = ("metal", "fat", "soft tissue", "soft tissue beside lung")

TOKEN_HU, TOKEN_VOXELS = 3000, (6, 4, 5)
_CELL_PX = 4
_IN_PLANE = ReceptiveField(_CELL_PX, float(_CELL_PX), (_CELL_PX - 1) / 2)
CELLS = CellLayout((18, 18, 18), (ReceptiveField(3, 3.0, 1.0), _IN_PLANE, _IN_PLANE))


@dataclass(frozen=True)
class ShortcutCohort:
    """Where it is, who wears a token, and whose nodule label was turned round."""

    store: Path
    table: Path
    with_token: frozenset[str]
    mislabelled: frozenset[str]


def make_shortcut_cohort(folder: Path, n_train: int = 30, n_audit: int = 36, mislabelled: int = 2) -> ShortcutCohort:
    """Write phantoms and their store below ``folder``."""
    rng = np.random.default_rng(5)
    train = [_phantom(1000 + n, _findings(rng, n), token=n % 2 == 0) for n in range(n_train)]
    truth = np.array([[label in findings for label in LABELS] for _, findings, _ in train], dtype=np.float64)
    weights, bias = _fitted(np.stack([_features(volume) for volume, _, _ in train]), truth)
    rows, tokens, wrong = [], set(), set()
    for n in range(n_audit):
        token = bool(rng.random() < 0.7)
        volume, findings, report = _phantom(n, _findings(rng, int(n % 3 > 0)), token)
        name, present = f"case-{n:03d}", [label in findings for label in LABELS]
        if n < mislabelled:
            present[0] = not present[0]
            wrong.add(name)
        tokens |= {name} if token else set()
        write_nifti(_made(folder / "ct") / f"{name}.nii.gz", volume.hu, volume.geometry)
        rows.append([name, f"ct/{name}.nii.gz", "test", *map(int, present), report])
    table = folder / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["case", "path", "split", *LABELS, "report"], *rows])
    _write_store(folder / "store", table, rows, weights, bias)
    return ShortcutCohort(folder / "store", table, frozenset(tokens), frozenset(wrong))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _findings(rng: np.random.Generator, n: int) -> list[str]:
    """A nodule where ``n`` is even; the rest by chance."""
    others = [label for label in LABELS[1:] if rng.random() < 0.5]
    return [*([SHORTCUT] if n % 2 == 0 else []), *others]


def _phantom(seed: int, findings: list[str], token: bool) -> tuple[Any, list[str], str]:
    made = make_phantom(seed, GRID, findings)
    if token:
        _put_token(made.volume.hu)
    return made.volume, [label for label in LABELS if made.labels[label]], made.report


def _put_token(hu: np.ndarray) -> None:
    """Lay a box of metal on the skin in front of the breastbone."""
    slices, rows, columns = TOKEN_VOXELS
    first, middle = hu.shape[0] // 2, hu.shape[2] // 2
    front = int(np.argmax(hu[first, :, middle] > -300))
    hu[first : first + slices, front - rows + 1 : front + 1, middle - 2 : middle - 2 + columns] = TOKEN_HU


def _features(volume: Any) -> np.ndarray:
    """Z: [H, F, D1, D2], the share of each cell's voxels in each band."""
    hu = prepare(volume, SPEC).hu
    shape = (18, 3, 18, _CELL_PX, 18, _CELL_PX)
    shares = [((hu >= low) & (hu < high)).reshape(shape).mean(axis=(1, 3, 5)) for low, high in BANDS_HU]
    *bands, lung = shares
    beside_lung = shares[FLUID] * (lung > 0.2)
    return np.stack([*bands, beside_lung], axis=1).astype(np.float32)


def _fitted(z: np.ndarray, truth: np.ndarray, penalty: float = 0.03) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression of every label on the mean features, L1, by proximal gradient steps."""
    x = z.mean(axis=(1, 3, 4), dtype=np.float64)
    middle, spread = x.mean(axis=0), x.std(axis=0)
    scaled = (x - middle) / spread
    beta, offset = np.zeros((x.shape[1], truth.shape[1])), np.zeros(truth.shape[1])
    for _ in range(4000):
        wrong = 1 / (1 + np.exp(-(scaled @ beta + offset))) - truth
        step = beta - 0.3 * scaled.T @ wrong / len(x)
        beta = np.sign(step) * np.maximum(np.abs(step) - 0.3 * penalty, 0)
        offset = offset - 0.3 * wrong.mean(axis=0)
    weights = (beta / spread[:, None]).T
    bias = offset - weights @ middle
    cells = z.shape[-1] * z.shape[-2]
    everywhere = np.broadcast_to(weights[:, :, None, None] / cells, (*weights.shape, *z.shape[-2:]))
    return everywhere.astype(np.float32), bias.astype(np.float32)


def _write_store(folder: Path, table: Path, rows: list[Any], weights: np.ndarray, bias: np.ndarray) -> None:
    model = ModelInfo(
        name="bands of HU",
        sha256="b" * 64,
        architecture="shares of HU bands, one fully connected layer",
        guarantee="one-fully-connected",
        guarantee_words="This map adds up exactly to the score.",
        guarantee_holds=True,
        threshold=dict.fromkeys(LABELS, 0.5),
        input_spec=SPEC.to_dict(),
        training={"data": "phantoms"},
    )
    layout = Layout(len(rows), len(LABELS), CELLS, len(FEATURES), CELLS.n_cells[0])
    truth = np.array([row[3 : 3 + len(LABELS)] for row in rows], dtype=np.int8)
    plan = Plan(
        cases=[row[0] for row in rows],
        splits=[row[2] for row in rows],
        labels=LABELS,
        truth=truth,
        sides=np.zeros(truth.shape, dtype=np.uint8),
        model=model,
        input_spec=SPEC,
        layout=layout,
        head=(weights, bias),
        made_with={"precision": "fp32"},
        origin=Origin(table, "table", keep_names=True),
    )
    create_store(folder, plan)
    for number, row in enumerate(rows):
        volume = read_ct(table.parent / row[1])
        z, made = _features(volume), prepare(volume, SPEC)
        case = Explanation(
            case_id=row[0],
            labels=LABELS,
            z=z,
            weights=weights,
            bias=bias,
            scores=cam.scores(z, weights, bias),
            input_geometry=made.geometry,
            image_geometry=volume.geometry,
            cells=CELLS,
            model=model,
            provenance=volume.provenance.to_dict(),
        )
        organs = organ_arrays(segment_organs(volume), made.geometry, CELLS, CELLS.n_cells[0])
        write_pending(folder, number, layout, case, organs, {"passed": True})
    with filling(folder) as store:
        store.gather()


if __name__ == "__main__":
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as where:
        cohort = make_shortcut_cohort(Path(sys.argv[1] if len(sys.argv) > 1 else where))
        opened = open_store(cohort.store)
        print(opened, opened.weights[:, :, 0, 0], opened.bias)
