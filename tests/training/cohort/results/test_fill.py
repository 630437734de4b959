"""Filling a store: any order, block by block, failures, killed halfway; and how much a case takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.explanations import make_explanation
from tests.stores import make_store, plan_of
from training.cohort.results import open_store
from training.cohort.results.fill import Filling, check_same, create_store, filling, pending_file, write_pending
from training.cohort.results.layout import ZDtype
from training.explain.result import Explanation
from training.issues import InputError

N = 300
SIZES = {"n_labels": 3, "n_groups": 2, "cells": (2, 2)}


@pytest.fixture(scope="module")
def cases() -> list[Explanation]:
    return [make_explanation(**SIZES, seed=n, n_features=4, in_plane=60) for n in range(N)]


@pytest.fixture
def store(tmp_path: Path, cases: list[Explanation]) -> Path:
    """A store of 300 cases without a result, in three blocks."""
    create_store(tmp_path / "s", plan_of(cases, organs=False))
    return tmp_path / "s"


def put(store: Path, cases: list[Explanation], rows: list[int]) -> None:
    layout = open_store(store).layout
    for row in rows:
        write_pending(store, row, layout, cases[row], None)


def z_of(store: Path) -> dict[str, np.ndarray]:
    opened = open_store(store)
    return {case: opened.z(case) for case in opened.cases}


def test_blocks_are_written_when_they_are_whole(store: Path, cases: list[Explanation]) -> None:
    order = np.random.default_rng(0).permutation(N).tolist()
    with filling(store) as place:
        assert place.layout.block == 128
        assert place.waiting() == list(range(N))
        put(store, cases, [row for row in order if row != 5])
        assert place.gather(full_only=True) == N - 128
        assert len(list((store / "pending").iterdir())) == 127
        place.fail(5)
        assert place.gather(full_only=True) == N - 1
        assert place.waiting() == [5]
        assert not list((store / "pending").iterdir())
    assert len(open_store(store)) == N - 1
    with filling(store) as place:
        put(store, cases, [5])
        assert place.gather() == N
    found = z_of(store)
    assert all(np.array_equal(found[f"case-{n:04d}"], case.z) for n, case in enumerate(cases))
    opened = open_store(store)
    np.testing.assert_allclose(opened.scores, np.stack([case.scores for case in cases]), rtol=1e-6)
    slices = np.stack([case.slice_scores[1] for case in cases])
    np.testing.assert_allclose(opened.label_slice_scores(opened.labels[1]), slices, rtol=1e-5, atol=1e-6)
    assert opened.explanation("case-0299").provenance == cases[299].provenance


def test_large_z_has_a_file_a_case_and_slice_scores_are_still_read_at_once(
    tmp_path: Path, cases: list[Explanation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.cohort.results.layout.BLOCK_BYTES", 300)  # one Z here is 128 bytes
    store = tmp_path / "s"
    create_store(store, plan_of(cases[:150], organs=False))
    for rows in ([0, 3, 149], [1, 2], [130]):
        put(store, cases, rows)
        with filling(store) as place:
            assert place.layout.block == 2
            place.gather()
    assert len(list((store / "z").glob("c.*"))) == 4
    assert len(list((store / "slice_scores").glob("c.*"))) == 2
    opened = open_store(store)
    assert opened.cases == tuple(f"case-{n:04d}" for n in (0, 1, 2, 3, 130, 149))
    slices = np.stack([cases[int(case[-4:])].slice_scores[2] for case in opened.cases])
    np.testing.assert_allclose(opened.label_slice_scores(opened.labels[2]), slices, rtol=1e-5, atol=1e-6)
    assert all(np.array_equal(z, cases[int(case[-4:])].z) for case, z in z_of(store).items())
    assert [opened.details(case)["case"] for case in opened.cases] == ["synthetic"] * 6


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", [0, 7, 10])
def test_killed_at_any_step_of_gathering_nothing_is_lost(
    after: int, store: Path, cases: list[Explanation], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, cases, list(range(100)))
    with filling(store) as place:
        place.gather()
    put(store, cases, list(range(100, 140)))
    steps = iter(range(after))

    def dying(one: Filling, name: str, *arguments: object) -> None:
        if next(steps, None) is None:
            raise Killed
        original(one, name, *arguments)

    original = Filling._write_rows
    with monkeypatch.context() as patch, filling(store) as place:
        patch.setattr(Filling, "_write_rows", dying)
        with pytest.raises(Killed):
            place.gather()
    assert len(open_store(store)) >= 100
    assert all(np.array_equal(z, cases[int(case[-4:])].z) for case, z in z_of(store).items() if int(case[-4:]) < 100)
    with filling(store) as place:
        assert place.gather() == 140
    assert all(np.array_equal(z, cases[int(case[-4:])].z) for case, z in z_of(store).items())


def test_a_half_written_result_is_no_result(store: Path, cases: list[Explanation]) -> None:
    put(store, cases, [0])
    file = pending_file(store, 0)
    file.rename(file.with_name(".partial-x." + file.name))
    (store / "z" / "c.0.0.0.0.0.123.partial").write_bytes(b"half")
    with filling(store) as place:
        assert place.gather() == 0
        assert 0 in place.waiting()
    assert not list((store / "z").glob("*.partial"))


def test_a_store_is_continued_with_equal_plans_only(store: Path, cases: list[Explanation]) -> None:
    check_same(store, plan_of(cases, organs=False))
    with pytest.raises(InputError, match="list of cases"):
        check_same(store, plan_of(cases[:-1], organs=False))
    with pytest.raises(InputError, match="size"):
        check_same(store, plan_of(cases, organs=True))
    with pytest.raises(FileExistsError):
        create_store(store, plan_of(cases, organs=False))
    plan = plan_of(cases, organs=False)
    check_same(store, replace(plan, model=replace(plan.model, name="called otherwise")))
    with pytest.raises(InputError, match="model"):
        check_same(store, replace(plan, model=replace(plan.model, sha256="f" * 64)))


@pytest.mark.parametrize("z_dtype", ["float32", "float16"])
@pytest.mark.parametrize("dense", [True, False])
def test_a_case_of_axialnet_takes_what_is_told_and_at_most_350_kb(tmp_path: Path, z_dtype: ZDtype, dense: bool) -> None:
    store = make_store(tmp_path / "s", 3, 80, 135, (6, 6), dense=dense, n_features=16, z_dtype=z_dtype)
    size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file() and file.name != "zarr.json")
    each = (size - open_store(store).weights.nbytes) / 3
    layout = open_store(store).layout
    assert layout.z_row == (135, 16, 6, 6)
    least, most = layout.usual_bytes
    assert least < each < most < 350_000
    assert most < layout.case_bytes


def test_z_that_float16_cannot_hold_is_refused(tmp_path: Path, cases: list[Explanation]) -> None:
    plan = plan_of(cases[:1], organs=False, z_dtype="float16")
    create_store(tmp_path / "s", plan)
    with pytest.raises(InputError, match="float16 cannot hold"):
        write_pending(tmp_path / "s", 0, plan.layout, _scaled(cases[0], 1e6), None)


def _scaled(case: Explanation, factor: float) -> Explanation:
    return replace(case, z=case.z * np.float32(factor))
