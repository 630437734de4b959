"""Organs kept for another model are the ones that would be found again; what differs or is damaged is found anew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cohorts import write_model, write_phantoms
from training.cohort import explaining
from training.cohort.batch import BatchSettings, open_for_filling, prepare_batch, run_batch
from training.cohort.results import open_store


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("cohort") / "phantoms")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return write_model(folder / "one.safetensors", seed=1), write_model(folder / "two.safetensors", seed=2)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets a word for every segmentation and every check that is really made."""
    made: list[str] = []
    segment, check = explaining.segment_organs, explaining.chest_check
    monkeypatch.setattr(explaining, "segment_organs", lambda *a, **k: (made.append("organs"), segment(*a, **k))[1])
    monkeypatch.setattr(explaining, "chest_check", lambda *a: (made.append("check"), check(*a))[1])
    return made


def explained(data: Path, store: Path, model: Path, cache: Path | None, **more: str) -> Path:
    settings = BatchSettings(str(model), device="cpu", keep_names=True, organ_cache=cache, **more)
    batch = prepare_batch(data, store, settings)
    open_for_filling(store, batch.plan)
    assert run_batch(batch).failures == {}
    return store


def organs_of(path: Path) -> dict[str, np.ndarray]:
    store = open_store(path)
    return {case: np.concatenate([store.organ_bits(case).ravel(), store.organ_cells(case).body.ravel()])
            for case in store.cases}  # fmt: skip


def test_a_second_model_takes_the_organs_that_are_kept(
    phantoms: Path, models: tuple[Path, Path], tmp_path: Path, calls: list[str]
) -> None:
    explained(phantoms, tmp_path / "one", models[0], tmp_path / "kept")
    n = len(open_store(tmp_path / "one").cases)
    assert (calls.count("organs"), calls.count("check")) == (n, n)
    calls.clear()
    explained(phantoms, tmp_path / "two", models[1], tmp_path / "kept")
    assert calls == []
    explained(phantoms, tmp_path / "plain", models[1], None)
    kept, plain = organs_of(tmp_path / "two"), organs_of(tmp_path / "plain")
    assert all(np.array_equal(kept[case], plain[case]) for case in plain)
    two, one = open_store(tmp_path / "two"), open_store(tmp_path / "plain")
    assert all(two.details(case)["organs"] == one.details(case)["organs"] for case in plain)


def test_other_settings_and_damaged_entries_are_worked_out_again(
    phantoms: Path, models: tuple[Path, Path], tmp_path: Path, calls: list[str]
) -> None:
    cache = tmp_path / "kept"
    explained(phantoms, tmp_path / "one", models[0], cache)
    n = calls.count("organs")
    explained(phantoms, tmp_path / "authors", models[0], cache, heuristic="authors")
    assert calls.count("organs") == 2 * n
    for entry in cache.glob("organs/*/*.npz"):
        entry.write_bytes(entry.read_bytes()[:200])
    explained(phantoms, tmp_path / "again", models[0], cache)
    assert calls.count("organs") == 3 * n
    assert all(np.array_equal(a, b) for a, b in zip(organs_of(tmp_path / "one").values(),
                                                    organs_of(tmp_path / "again").values(), strict=True))  # fmt: skip


def test_what_is_kept_does_not_say_whose_ct_it_is(phantoms: Path, models: tuple[Path, Path], tmp_path: Path) -> None:
    cache = tmp_path / "kept"
    explained(phantoms, tmp_path / "one", models[0], cache)
    entries = list(cache.glob("organs/*/*.npz"))
    assert entries
    for entry in entries:
        with np.load(entry, allow_pickle=False) as found:
            words = json.dumps(json.loads(str(found["about"])))
        assert "phantom" not in words
    assert not [path for path in cache.rglob("*") if "phantom" in path.name]
