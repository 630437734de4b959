"""What passes for Hounsfield units, and what is padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.io import read_ct
from training.io.hu import not_hu, padding_to_air, why_not_hu
from training.issues import Severity


@pytest.fixture
def chest() -> np.ndarray:
    rng = np.random.default_rng(0)
    hu = np.full((20, 40, 40), -1000.0)
    hu[:, 8:-8, 5:-5] = 40
    hu[:, 14:-14, 10:-10] = -850
    hu[:, 8:11, 18:22] = 900  # bone
    return hu + rng.normal(0, 20, hu.shape)


def test_a_chest_passes_in_any_number_type(chest: np.ndarray) -> None:
    assert why_not_hu(chest) is None
    assert why_not_hu(chest.astype(np.int16)) is None
    chest[0, 0] = np.nan
    chest[:, :3] = -3024
    assert why_not_hu(chest.astype(np.float32)) is None
    assert why_not_hu(np.clip(chest, -1000, 800)) is None


@pytest.mark.parametrize("offset", [1024, 1000, 500, -1024])
def test_plain_offsets_do_not_pass(chest: np.ndarray, offset: int) -> None:
    assert why_not_hu(chest + offset)


def test_an_offset_hidden_by_an_air_fill_does_not_pass(chest: np.ndarray) -> None:
    """Stored values resampled with -1000 around them: the fill looks like air, real air (24) like water."""
    stored = chest + 1024
    stored[:, :6] = -1000
    reason = why_not_hu(stored)
    assert reason is not None
    assert "intercept" in reason


@pytest.mark.parametrize(("factor", "shift"), [(1 / 1800, 0.55), (255 / 2000, 128), (10, 0), (0, 0), (0, -2000)])
def test_scaled_values_do_not_pass(chest: np.ndarray, factor: float, shift: float) -> None:
    assert why_not_hu(chest * factor + shift)


def test_windowed_values_do_not_pass(chest: np.ndarray) -> None:
    assert why_not_hu(np.clip(chest, -160, 240))


def test_the_error_names_file_fact_and_way_out() -> None:
    issue = not_hu("why", "a.nii")
    assert (issue.severity, issue.file) == (Severity.ERROR, "a.nii")
    assert "why" in issue.message
    assert "rescale" in issue.way_out


@pytest.mark.parametrize("fill", [-2000, -2048, -3024])
def test_padding_becomes_air_with_a_warning(fill: int) -> None:
    hu = np.array([[fill, -1100, 40, fill]], np.int16)
    (issue,) = padding_to_air(hu, "a.nii")
    np.testing.assert_array_equal(hu, [[-1000, -1100, 40, -1000]])
    assert issue.severity is Severity.WARNING
    assert str(fill) in issue.message
    assert "50.0%" in issue.message
    assert padding_to_air(hu) == ()


def test_real_cts_pass_and_shifted_ones_do_not(shared_data: Path) -> None:
    for name in ("ct-64.nrrd", "TestInput.nrrd"):
        hu = read_ct(shared_data / "ct" / "cip-ct-64" / name).hu.astype(np.int32)
        assert why_not_hu(hu) is None
        assert why_not_hu(hu + 1024)
        assert why_not_hu(hu - 1024)
