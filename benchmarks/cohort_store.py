"""How long it takes to open a store of 36,316 cases, to list a label's predictions, and to show any map of any case.

``python benchmarks/cohort_store.py [--cases 36316] [--folder DIR] [--float16] [--json]``

The store has AxialNet's sizes (Z 135 x 16 x 6 x 6, 80 labels) and random content. One block of cases is written by the
program's own code; the files of the other blocks are copies of it, each its own file on the disk. Opening and listing
are timed in fresh processes; maps are read from random cases, once with the file's pages in memory and once after they
were dropped. Limits: open 1 s, a label's predictions 100 ms, a map 5 ms, 350 KB a case.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from training.cohort.results import open_store
from training.cohort.results.details import details_file
from training.cohort.results.fill import Plan, create_store, filling, write_pending
from training.cohort.results.layout import DONE, LARGEST_BLOCK, Layout
from training.cohort.results.organs import organ_arrays
from training.cohort.results.sources import Origin
from training.explain import cam
from training.explain.result import Explanation, ModelInfo
from training.geometry import CellLayout, Geometry, ReceptiveField
from training.labels import label_names
from training.partition.organs import Organs, QualityControl, heuristic_labels
from training.preprocess import InputSpec

LIMITS = {"open_s": 1.0, "label_predictions_ms": 100.0, "map_ms": 5.0, "case_kb": 350.0}
SPEC = InputSpec()
CELLS = CellLayout(
    (135, 6, 6), (ReceptiveField(3, 3.0, 1.0), ReceptiveField(691, 32.0, 128.0), ReceptiveField(691, 32.0, 128.0))
)
FEATURES = 16

FRESH = """
import json, sys, time
import numpy, zarr
from training.cohort.results import open_store
times = []
start = time.perf_counter()
store = open_store(sys.argv[1])
times.append(time.perf_counter() - start)
start = time.perf_counter()
store.label_probabilities(store.labels[40])
times.append(time.perf_counter() - start)
start = time.perf_counter()
store.label_probabilities(store.labels[41])
times.append(time.perf_counter() - start)
start = time.perf_counter()
store.probabilities
times.append(time.perf_counter() - start)
print(json.dumps(times))
"""


def explanation(seed: int, weights: np.ndarray, bias: np.ndarray, image: Geometry, model: ModelInfo) -> Explanation:
    """Return a random case; about half of Z is 0, as after a ReLU."""
    rng = np.random.default_rng(seed)
    z = np.maximum(rng.normal(0.1, 1.0, (135, FEATURES, 6, 6)), 0).astype(np.float32)
    provenance = {"pixels_sha256": "0" * 64, "source": "npz", "software": "benchmark", "steps": ["none"] * 8}
    return Explanation(
        case_id=f"case-{seed:06d}", labels=label_names(), z=z, weights=weights, bias=bias,
        scores=cam.scores(z, weights, bias), input_geometry=image, image_geometry=image, cells=CELLS, model=model,
        seconds={"preprocess": 1.0, "trunk": 1.0, "maps": 0.01}, provenance=provenance,
    )  # fmt: skip


def make(folder: Path, n_cases: int, z_dtype: Any) -> Path:
    """Write the store."""
    rng, labels = np.random.default_rng(0), label_names()
    weights = rng.normal(0, 0.05, (80, FEATURES, 6, 6)).astype(np.float32)
    bias = rng.normal(-1, 0.5, 80).astype(np.float32)
    model = ModelInfo(
        "axialnet", "0" * 64, "axialnet", "one-fully-connected", "Words.", True, threshold=dict.fromkeys(labels, 0.5)
    )
    layout = Layout(n_cases, 80, CELLS, FEATURES, SPEC.n_groups, z_dtype)
    truth = (rng.random((n_cases, 80)) < 0.1).astype(np.int8)
    names = [f"case-{n:06d}" for n in range(n_cases)]
    splits = rng.choice(["train", "valid", "test"], n_cases).tolist()
    head = (weights, bias)
    plan = Plan(
        names, splits, labels, truth, np.zeros_like(truth, dtype=np.uint8), model, SPEC, layout, head, {}, Origin()
    )
    create_store(folder, plan)
    image = Geometry.canonical(SPEC.shape, SPEC.spacing_mm)
    qc = QualityControl(False, heuristic="paper")
    masks = Organs(heuristic_labels(image), image, qc, np.ones(image.shape, dtype=bool))
    organs = organ_arrays(masks, image, CELLS, SPEC.n_groups)
    for row in range(min(layout.block, n_cases)):
        write_pending(folder, row, layout, explanation(row, weights, bias, image, model), organs, qc.to_dict())
    with filling(folder) as place:
        place.gather()
    copy_blocks(folder, layout)
    return folder


def copy_blocks(folder: Path, layout: Layout) -> None:
    """Give every other block copies of the first block's files."""
    n_blocks = -(-layout.n_cases // layout.block)
    for name, spec in layout.arrays().items():
        array = zarr.open_group(folder, mode="r+")[name]
        if spec.cut == "column" and name not in ("truth", "sides"):
            first = array[: layout.block]
            array[...] = np.resize(first, array.shape) if name != "scores" else varied(first, layout.n_cases)
        elif spec.cut != "column":
            rest = ".".join("0" for _ in array.shape[1:])
            for block in range(1, n_blocks):
                shutil.copyfile(folder / name / f"c.0.{rest}", folder / name / f"c.{block}.{rest}")
    for row in range(LARGEST_BLOCK, layout.n_cases, LARGEST_BLOCK):
        shutil.copyfile(details_file(folder, 0), details_file(folder, row))
    assert (np.asarray(zarr.open_group(folder, mode="r")["state"][...]) == DONE).all()


def varied(first: np.ndarray, n: int) -> np.ndarray:
    """Return scores of n cases, all different."""
    return np.resize(first, (n, first.shape[1])) + np.random.default_rng(1).normal(0, 0.1, (n, first.shape[1]))


def fresh(folder: Path) -> list[float]:
    """Time opening and listing in a fresh process, s."""
    done = subprocess.run([sys.executable, "-c", FRESH, str(folder)], capture_output=True, check=True)
    return list(json.loads(done.stdout))


def map_times(folder: Path, n: int, drop: bool) -> list[float]:
    """Return the ms that any map of random cases took, read included."""
    store, rng, times = open_store(folder), np.random.default_rng(2), []
    store.explanation(store.cases[0]).map(0)
    block = store.layout.block
    for case, label in zip(rng.integers(0, len(store), n), rng.integers(0, 80, n), strict=True):
        if drop:
            forget(folder / "z" / f"c.{case // block}.0.0.0.0")
            forget(details_file(folder, int(case)))
        start = time.perf_counter()
        store.explanation(store.cases[case]).map(int(label))
        times.append(1e3 * (time.perf_counter() - start))
    return times


def forget(file: Path) -> None:
    """Drop the pages of a file from memory."""
    handle = os.open(file, os.O_RDONLY)
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


def measure(folder: Path, n_cases: int, z_dtype: str) -> dict[str, Any]:
    """Make the store and time it."""
    start = time.perf_counter()
    store = make(folder, n_cases, z_dtype)
    made_s = time.perf_counter() - start
    runs = np.median([fresh(store) for _ in range(5)], axis=0)
    warm, cold = map_times(store, 400, False), map_times(store, 200, True)
    start = time.perf_counter()
    from training.evaluate.bands import slice_score_bands

    slice_score_bands(open_store(store), label_names()[40])
    bands_ms = 1e3 * (time.perf_counter() - start)
    size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    return {
        "cases": n_cases, "z_dtype": z_dtype, "files": sum(1 for file in store.rglob("*") if file.is_file()),
        "gigabytes": size / 1e9, "case_kb": size / 1e3 / n_cases, "made_s": made_s, "open_s": runs[0],
        "label_predictions_ms": 1e3 * runs[1], "next_label_ms": 1e3 * runs[2], "all_probabilities_ms": 1e3 * runs[3],
        "map_ms": float(np.median(warm)), "map_ms_99_percent": float(np.quantile(warm, 0.99)),
        "map_dropped_ms": float(np.median(cold)), "map_dropped_ms_99_percent": float(np.quantile(cold, 0.99)),
        "bands_ms": bands_ms,
    }  # fmt: skip


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=36_316)
    parser.add_argument("--folder", type=Path, default=None, help="where the store is made and removed again")
    parser.add_argument("--float16", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        found = measure(Path(folder) / "store", chosen.cases, "float16" if chosen.float16 else "float32")
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    found |= {"limits": LIMITS, "within_limits": all(found[name] <= limit for name, limit in LIMITS.items()), **machine}
    print(json.dumps(found) if chosen.json else "\n".join(f"{key}: {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
