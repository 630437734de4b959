"""A store of RAD-ChestCT's 36,316 cases: opened and listed by reading a few small files, whatever its size."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.core.buffer import Buffer

from training.cohort.results import open_store
from training.cohort.results import store as module
from training.cohort.results.files import Arrays, WholeStore
from training.cohort.results.fill import Plan, create_store
from training.cohort.results.layout import COLUMN_ROWS, DONE, Layout
from training.cohort.results.sources import Origin
from training.explain import cam
from training.explain.result import ModelInfo
from training.geometry import CellLayout, ReceptiveField
from training.labels import label_names
from training.preprocess import InputSpec

N_CASES, N_LABELS, FEATURES = 36_316, 80, 16
N_COLUMN_CHUNKS = -(-N_CASES // COLUMN_ROWS)
FIELD = ReceptiveField(691, 32.0, 128.0)
CELLS = CellLayout((135, 6, 6), (ReceptiveField(3, 3.0, 1.0), FIELD, FIELD))
BLOCK = 283
"""The block of cases, the last one, whose Z is there."""


def scores() -> np.ndarray:
    """Every case has other scores."""
    return np.random.default_rng(0).normal(-1, 2, (N_CASES, N_LABELS)).astype(np.float32)


def z_of(layout: Layout) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.maximum(rng.normal(0, 1, (len(layout.rows(BLOCK)), *layout.z_row)), 0).astype(np.float32)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of AxialNet's sizes: all columns, and Z of one block; what has no results is no file yet."""
    rng, labels = np.random.default_rng(2), label_names()
    model = ModelInfo("axialnet", "0" * 64, "axialnet", "one-fully-connected", "Words.", True)
    layout = Layout(N_CASES, N_LABELS, CELLS, FEATURES, InputSpec().n_groups)
    head = (rng.normal(0, 0.05, (N_LABELS, FEATURES, 6, 6)).astype(np.float32), np.zeros(N_LABELS, np.float32))
    plan = Plan(
        [f"case-{n:05d}" for n in range(N_CASES)], [("train", "valid", "test")[n % 3] for n in range(N_CASES)], labels,
        (scores() > 0).astype(np.int8), np.zeros((N_CASES, N_LABELS), np.uint8), model, InputSpec(), layout, head, {},
        Origin(),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("large") / "store"
    create_store(folder, plan)
    arrays, rows, z = Arrays(folder, layout), layout.rows(BLOCK), z_of(layout)
    digests = np.zeros((N_CASES, 32), np.uint8)
    digests[rows.start :] = [list(hashlib.sha256(one.data).digest()) for one in z]
    columns = {"state": np.full(N_CASES, DONE, np.uint8), "scores": scores(), "z_sha256": digests}
    for name, values in columns.items():
        arrays.write(name, range(N_CASES), values)
    arrays.write("z", rows, z)
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The files of arrays that are read, in order, with the bytes that came."""
    found: list[tuple[str, int]] = []
    plain, sync = WholeStore.get, WholeStore.get_sync

    def noted(key: str, buffer: Buffer | None) -> Buffer | None:
        if not key.endswith("zarr.json"):
            found.append((key, len(buffer or ())))
        return buffer

    async def get(self: WholeStore, key: str, *rest: Any, **options: Any) -> Buffer | None:
        return noted(key, await plain(self, key, *rest, **options))

    def get_sync(self: WholeStore, key: str, **options: Any) -> Buffer | None:
        return noted(key, sync(self, key, **options))

    monkeypatch.setattr(WholeStore, "get", get)
    monkeypatch.setattr(WholeStore, "get_sync", get_sync)
    monkeypatch.setattr(module, "read_details", None)  # which nothing here may need
    return found


def test_opening_reads_the_state_of_the_cases_alone(large: Path, read: list[tuple[str, int]]) -> None:
    store = open_store(large)
    assert len(store) == len(store.cases) == len(store.planned) == N_CASES
    assert (store.cases[0], store.cases[-1]) == ("case-00000", "case-36315")
    assert store.splits.count("test") == N_CASES // 3
    assert sorted(key for key, _ in read) == [f"state/c.{n}" for n in range(N_COLUMN_CHUNKS)]
    assert sum(size for _, size in read) < 10_000


def test_a_label_is_listed_from_a_few_chunks_and_the_next_one_from_none(
    large: Path, read: list[tuple[str, int]]
) -> None:
    store, expected = open_store(large), scores().astype(np.float64)
    read.clear()
    for label in ("cardiomegaly", "lung nodule"):
        listed = store.label_probabilities(label)
        assert listed.shape == (N_CASES,)
        np.testing.assert_allclose(listed, 1 / (1 + np.exp(-expected[:, store.labels.index(label)])), rtol=1e-6)
    assert sorted(key for key, _ in read) == [f"scores/c.{n}.0" for n in range(N_COLUMN_CHUNKS)]
    read.clear()
    assert store.truth is not None
    assert (store.truth == (expected > 0)).all()
    assert len(read) == N_COLUMN_CHUNKS


def test_a_map_of_a_case_is_read_from_its_own_chunk(large: Path, read: list[tuple[str, int]]) -> None:
    store = open_store(large)
    expected = z_of(store.layout)
    assert store.weights.shape == (N_LABELS, FEATURES, 6, 6)
    store.z(store.cases[-1])  # the column of checksums and the index of the file are read now
    read.clear()
    found = store.z(store.cases[-2])
    assert {key for key, _ in read} == {f"z/c.{BLOCK}.0.0.0.0"}
    assert len(read) <= 2  # the index of the file, the chunk
    assert sum(size for _, size in read) < 350_000
    np.testing.assert_array_equal(found, expected[-2])
    label = store.labels.index("cardiomegaly")
    np.testing.assert_array_equal(
        cam.hirescam(found, store.weights[label]), cam.hirescam(expected[-2], store.weights[label])
    )


def test_its_files_are_few(large: Path) -> None:
    store = open_store(large)
    assert store.layout.block == 128
    files = sum(-(-N_CASES // store.layout.rows_in_file(spec)) for spec in store.layout.arrays().values())
    assert files < 2_000
    assert sum(1 for path in (large / "scores").iterdir()) == N_COLUMN_CHUNKS + 1
