"""case.zarr reads back equal, and says what is wrong when it is not whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.cohort.store import find_case, read_case, write_case
from training.explain.result import Explanation
from training.issues import InputError, warning


@pytest.fixture(scope="module")
def case(explanation_factory: Callable[..., Explanation]) -> Explanation:
    made = explanation_factory(n_labels=5, n_groups=4, cells=(3, 2))
    return replace(made, issues=(warning("padding", "1 % is padding"),), provenance={"source": "nifti"})


def test_case_reads_back_equal(case: Explanation, tmp_path: Path) -> None:
    write_case(tmp_path / "case.zarr", case)
    again = read_case(tmp_path / "case.zarr")
    for name in ("z", "weights", "bias", "scores"):
        assert getattr(again, name).dtype == getattr(case, name).dtype
        np.testing.assert_array_equal(getattr(again, name), getattr(case, name))
    for name in ("case_id", "labels", "cells", "model", "device", "precision", "seconds", "issues", "provenance"):
        assert getattr(again, name) == getattr(case, name), name
    assert again.input_geometry.allclose(case.input_geometry, 0)
    assert again.image_geometry.allclose(case.image_geometry, 0)
    assert again.gradient_maps is None
    np.testing.assert_array_equal(again.maps("gradcam"), case.maps("gradcam"))
    np.testing.assert_array_equal(again.residual, case.residual)


def test_names_of_input_files_are_not_stored(case: Explanation, tmp_path: Path) -> None:
    named = replace(case, issues=(warning("padding", "1 % is padding", file="Doe_Jane.nii"),))
    write_case(tmp_path / "c", named)
    assert "Doe" not in (tmp_path / "c" / "zarr.json").read_text()
    assert read_case(tmp_path / "c").issues == (warning("padding", "1 % is padding"),)


def test_gradient_maps_are_kept(case: Explanation, tmp_path: Path) -> None:
    maps = case.maps()
    odd = replace(case, gradient_maps=maps, computed_slice_scores=case.slice_scores + 1)
    write_case(tmp_path / "c", odd)
    again = read_case(tmp_path / "c")
    np.testing.assert_array_equal(again.maps(), maps)
    np.testing.assert_array_equal(again.slice_scores, odd.slice_scores)


def test_zarr_is_version_3_and_found_inside_an_output_folder(case: Explanation, tmp_path: Path) -> None:
    write_case(tmp_path / "out" / "case.zarr", case)
    assert json.loads((tmp_path / "out" / "case.zarr" / "zarr.json").read_text())["zarr_format"] == 3
    assert find_case(tmp_path / "out") == tmp_path / "out" / "case.zarr"
    assert read_case(tmp_path / "out").case_id == case.case_id


def test_earlier_case_is_replaced_whole(case: Explanation, tmp_path: Path) -> None:
    write_case(tmp_path / "c", replace(case, gradient_maps=case.maps()))
    write_case(tmp_path / "c", case)
    assert read_case(tmp_path / "c").gradient_maps is None
    assert [item.name for item in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("name", ["z", "weights", "scores", "slice_scores"])
def test_missing_chunk_is_an_error_not_zeros(case: Explanation, tmp_path: Path, name: str) -> None:
    write_case(tmp_path / "c", case)
    chunks = [item for item in (tmp_path / "c" / name / "c").rglob("*") if item.is_file()]
    assert chunks
    for chunk in chunks:
        chunk.unlink()
    with pytest.raises(InputError, match=rf"c: .*{name}.*checksum.*hirescam explain"):
        read_case(tmp_path / "c")


def test_damaged_and_foreign_stores_are_refused(case: Explanation, tmp_path: Path) -> None:
    write_case(tmp_path / "c", case)
    chunk = next(item for item in (tmp_path / "c" / "z" / "c").rglob("*") if item.is_file())
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(InputError, match="damaged"):
        read_case(tmp_path / "c")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"no case\.zarr"):
        read_case(tmp_path / "other")
    (tmp_path / "other" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    with pytest.raises(InputError, match=r"no case\.zarr"):
        read_case(tmp_path / "other")


def test_newer_schema_is_refused(case: Explanation, tmp_path: Path) -> None:
    write_case(tmp_path / "c", case)
    metadata = json.loads((tmp_path / "c" / "zarr.json").read_text())
    metadata["attributes"]["schema_version"] = 99
    (tmp_path / "c" / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="schema 99"):
        read_case(tmp_path / "c")
