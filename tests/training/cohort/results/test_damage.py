"""Nothing in a store that is missing, cut off or changed passes for a number; what is damaged is found and mended."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.explanations import make_explanation
from tests.stores import make_store, organ_arrays_of, plan_of
from training.cohort.results import open_store
from training.cohort.results.files import about_sha256
from training.cohort.results.fill import Filling, create_store, filling, write_pending
from training.cohort.results.layout import NOT_DONE
from training.cohort.results.plan import Plan
from training.cohort.results.repair import Damage, mend
from training.explain.result import Explanation
from training.issues import Cancelled, InputError

N = 6
SIZES = {"n_labels": 3, "n_groups": 2, "cells": (3, 3)}


@pytest.fixture(scope="module")
def cases() -> list[Explanation]:
    return [make_explanation(**SIZES, seed=n, n_features=4, in_plane=60) for n in range(N)]


@pytest.fixture(scope="module")
def plan(cases: list[Explanation]) -> Plan:
    return plan_of(cases)


@pytest.fixture(autouse=True, scope="module")
def small_files() -> Any:
    """Files of a few cases, so that damage hits some and not others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.cohort.results.layout.BLOCK_BYTES", 600)  # one Z here is 288 bytes: 2 a block
        patch.setattr("training.cohort.results.layout.COLUMN_ROWS", 4)
        for module in ("layout", "files", "details", "restore", "repair", "fill"):
            name = f"training.cohort.results.{module}.LARGEST_BLOCK"
            patch.setattr(name, 4, raising=False)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cases: list[Explanation], plan: Plan) -> Path:
    """A store of 6 cases, of which the last has no result."""
    store = tmp_path_factory.mktemp("made") / "s"
    create_store(store, plan)
    fill(store, plan, cases, range(N - 1))
    return store


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "s"))


def fill(store: Path, plan: Plan, cases: list[Explanation], rows: range | list[int]) -> None:
    for row in rows:
        write_pending(store, row, plan.layout, cases[row], organ_arrays_of(cases[row].cells.n_cells), {"passed": True})
    with filling(store) as place:
        place.gather()


def everything(store: Path) -> dict[str, Any]:
    """Return all that can be asked of a store."""
    opened = open_store(store)
    found: dict[str, Any] = {name: getattr(opened, name) for name in ("scores", "truth", "sides", "weights", "bias")}
    found |= {"cases": opened.cases, "splits": opened.splits, "labels": opened.labels, "planned": opened.planned}
    found["sha256"], found["origin"] = opened.sha256, opened.origin
    found |= {f"slices of {label}": opened.label_slice_scores(label) for label in opened.labels}
    for case in opened.cases:
        one = opened.explanation(case)
        found |= {f"{case} z": one.z, f"{case} slices": opened.slice_scores(case), f"{case} details": one.provenance}
        found |= {f"{case} input": one.input_geometry.affine, f"{case} image": one.image_geometry.affine}
        found |= {f"{case} shape": one.image_geometry.shape, f"{case} seconds": dict(one.seconds)}
        found |= {f"{case} {grid}": opened.organ_bits(case, grid) for grid in ("receptive_field", "authors")}
        cells = opened.organ_cells(case)
        assert cells is not None
        found |= {f"{case} body": cells.body, f"{case} shares": cells.shares[1]}
    return found


def asked(store: Path) -> tuple[dict[str, Any] | None, str]:
    """Return :func:`everything`, or why it is refused."""
    try:
        return everything(store), ""
    except InputError as refusal:
        return None, str(refusal)


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


def files_of(store: Path) -> list[Path]:
    """Return every file whose content is a part of the results."""
    left_out = ("batch.lock", "data.json")  # which may be left out, and holds no results
    return sorted(file for file in store.rglob("*") if file.is_file() and file.name not in left_out)


def gone(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [gone, empty, flipped])
def test_nothing_damaged_passes_for_a_number(damage: Callable[[Path], None], store: Path) -> None:
    before, unseen = everything(store), []
    for file in files_of(store):
        kept = file.read_bytes()
        damage(file)
        found, words = asked(store)
        if found is not None and not same(found, before):
            unseen.append(file.relative_to(store).as_posix())
        if words:
            assert "damaged" in words
            assert "hirescam batch" in words
        file.write_bytes(kept)
    assert unseen == []
    assert same(everything(store), before)


def mended(store: Path, plan: Plan, cases: list[Explanation], thorough: bool) -> tuple[Damage, tuple[str, ...]]:
    """Mend a store as ``hirescam batch`` does."""
    with filling(store, plan) as place:
        found, restored = mend(place, thorough), place.restored
        rows = [row for row in place.waiting() if row != N - 1]
    assert set(found.rows) <= set(rows)
    fill(store, plan, cases, rows)
    return found, restored


def test_all_that_is_missing_or_cut_off_is_mended_at_a_quick_look(
    store: Path, plan: Plan, cases: list[Explanation]
) -> None:
    before = everything(store)
    for number, file in enumerate(files_of(store)):
        if file.parent == store and file.name == "zarr.json":
            continue
        (gone, empty, cut_off)[number % 3](file)
        found, _ = mended(store, plan, cases, thorough=False)
        assert same(everything(store), before), file
        assert len(found.rows) <= 4, file


def test_flipped_bytes_are_mended_by_a_thorough_look(store: Path, plan: Plan, cases: list[Explanation]) -> None:
    before = everything(store)
    for file in {file.parent: file for file in files_of(store) if file.name != "zarr.json"}.values():
        flipped(file)
        found, _ = mended(store, plan, cases, thorough=True)
        assert same(everything(store), before), file
        assert len(found.rows) <= 4, file


def test_all_damaged_at_once_is_mended(store: Path, plan: Plan, cases: list[Explanation]) -> None:
    before = everything(store)
    for number, file in enumerate(files_of(store)):
        if file.parent != store or file.name != "zarr.json":
            (gone, empty, cut_off, flipped)[number % 4](file)
    found, restored = mended(store, plan, cases, thorough=True)
    assert same(everything(store), before)
    assert {"cases.csv", "truth", "sides", "weights", "bias", "state"} <= {name.split("/")[0] for name in restored}
    assert set(found.rows) <= set(range(N - 1))


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("z/c.1.0.0.0.0", [2, 3]),
        ("organ_shares/c.2.0.0.0.0.0", [4]),
        ("slice_scores/c.1.0.0", [4]),
        ("scores/c.1.0", [4]),
        ("image_affine/c.0.0.0", [0, 1, 2, 3]),
        ("details/000000.jsonl", [0, 1, 2, 3]),
        ("state/c.0", []),
        ("truth/c.0.0", []),
        ("weights/c.0.0.0.0", []),
        ("z/zarr.json", []),
        ("slice_scores/zarr.json", []),
        ("cases.csv", []),
    ],
)
def test_exactly_the_cases_that_were_hit_are_done_again(
    file: str, rows: list[int], store: Path, plan: Plan, cases: list[Explanation]
) -> None:
    before = everything(store)
    (store / file).unlink()
    with pytest.raises(InputError, match=r"damaged.*hirescam batch.*--verify"):
        everything(store)
    found, restored = mended(store, plan, cases, thorough=False)
    assert list(found.rows) == rows
    assert found.names == (() if not rows else (file.split("/")[0],))
    assert restored == (() if rows else (file if file.endswith((".json", ".csv")) else file.split("/")[0],))
    assert same(everything(store), before)


def test_of_a_file_with_one_flipped_chunk_the_other_cases_stay(
    store: Path, plan: Plan, cases: list[Explanation]
) -> None:
    before = everything(store)
    file = store / "z" / "c.1.0.0.0.0"
    content = bytearray(file.read_bytes())
    content[10] ^= 4  # in the chunk of the first of two cases
    file.write_bytes(content)
    with filling(store, plan) as place:
        assert len(mend(place, thorough=True).rows) == 1
    assert len(open_store(store)) == N - 2
    fill(store, plan, cases, [row for row in range(N - 1) if f"case-{row:04d}" not in open_store(store).cases])
    assert same(everything(store), before)


def test_whole_stores_are_left_as_they_are(store: Path, plan: Plan) -> None:
    times = {file: file.stat().st_mtime_ns for file in files_of(store)}
    with filling(store, plan) as place:
        assert place.restored == ()
        for thorough in (False, True):
            assert mend(place, thorough) == Damage()
    assert {file: file.stat().st_mtime_ns for file in files_of(store)} == times


def test_stopped_while_it_looks_nothing_is_forgotten(store: Path, plan: Plan) -> None:
    (store / "scores" / "c.0.0").unlink()
    answers = iter([False] * 20 + [True])
    with filling(store, plan) as place, pytest.raises(Cancelled):
        mend(place, thorough=True, cancelled=lambda: next(answers))
    with filling(store, plan) as place:
        assert place.waiting() == [N - 1]


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", range(6))
def test_killed_while_it_mends_no_blank_passes_for_a_result(
    after: int, store: Path, plan: Plan, cases: list[Explanation], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(store)
    for file in ("scores/c.0.0", "z/c.0.0.0.0.0", "state/c.1", "details/000001.jsonl"):
        (store / file).unlink()
    steps = iter(range(after))
    original = os.replace

    def dying(*arguments: Any) -> None:
        if next(steps, None) is None:
            raise Killed
        original(*arguments)

    with monkeypatch.context() as patch, filling(store, plan) as place:
        patch.setattr(Path, "replace", dying)
        try:
            mend(place, thorough=False)
        except Killed:
            assert after < 5
    found, words = asked(store)
    if found is None:
        assert "damaged" in words
    else:
        assert np.isfinite(found["scores"]).all()
        assert all(np.array_equal(found[key], before[key]) for key in found if key.startswith("case-"))
    mended(store, plan, cases, thorough=False)
    assert same(everything(store), before)


def test_a_damaged_description_of_the_whole_says_that_nothing_mends_it(store: Path, plan: Plan) -> None:
    content = json.loads((store / "zarr.json").read_text())
    content["attributes"]["labels"][0] = "x"
    for text in (json.dumps(content), "{", ""):
        (store / "zarr.json").write_text(text)
        for work in (lambda: open_store(store), lambda: Filling(store)):
            with pytest.raises(InputError, match=r"zarr\.json.*delete the folder, then run `hirescam batch`"):
                work()
    (store / "zarr.json").unlink()
    with pytest.raises(InputError, match=r"zarr\.json is missing.*delete the folder"):
        open_store(store)


def test_stores_of_the_first_schema_say_why_they_are_refused(store: Path) -> None:
    content = json.loads((store / "zarr.json").read_text())
    content["attributes"]["schema_version"] = 1
    (store / "zarr.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"of schema 1.*missing are noticed.*another folder"):
        open_store(store)


def test_a_damaged_result_that_waits_is_made_again(store: Path, plan: Plan, cases: list[Explanation]) -> None:
    write_pending(store, N - 1, plan.layout, cases[N - 1], organ_arrays_of(cases[0].cells.n_cells), None)
    cut_off(store / "pending" / f"{N - 1:08d}.npz")
    with filling(store, plan) as place:
        assert place.gather() == N - 1
        assert place.waiting() == [N - 1]
        assert place.state[N - 1] == NOT_DONE


def test_damaged_notes_of_failures_and_origin_are_told(store: Path) -> None:
    (store / "failures.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"failures\.csv.*Remove it"):
        dict(open_store(store).failures)
    (store / "data.json").write_text("{")
    with pytest.raises(InputError, match=r"data\.json.*--verify"):
        _ = open_store(store).origin


def test_damage_is_told_once_with_the_command_that_mends_it(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "my store", n_cases=2, n_labels=2, z_dtype="float16")
    content = json.loads((folder / "zarr.json").read_text())
    content["attributes"]["made_with"] = {"splits": ["test"], "precision": "bf16", "organs": "morphology"}
    content["attributes"]["sha256"] = about_sha256(content["attributes"])
    (folder / "zarr.json").write_text(json.dumps(content))
    store = open_store(folder)
    for file in (folder / "z").rglob("*"):
        if file.is_file() and file.name != "zarr.json":
            file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(InputError) as refused:
        store.z(store.cases[0])
    told = str(refused.value)
    assert told.startswith("error: my store: is incomplete or damaged: z cannot be read. Run `hirescam batch DATA ")
    assert "--model MODEL -o 'my store' --split test --precision bf16 --keep float16 --verify`" in told
    assert "Error" not in told
