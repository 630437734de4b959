"""From CT to model input: no voxel without a reason, and every voxel where it belongs."""

from __future__ import annotations

import csv
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.geometry import CANONICAL_DIRECTION, Geometry
from training.io import read_ct
from training.issues import Cancelled
from training.preprocess import InputSpec, ModelInput, patient_grid, prepare
from training.resample import resample_oblique
from training.volume import Volume

SMALL = InputSpec((0.8, 0.8, 0.8), (30, 40, 40))


def noise(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1001, shape, dtype=np.int16)


def canonical(hu: np.ndarray, spacing: tuple[float, float, float] = (0.8, 0.8, 0.8)) -> Volume:
    return Volume(hu, Geometry.canonical(hu.shape, spacing, (-10, 20, 300)))


def test_the_defaults_are_the_authors() -> None:
    spec = InputSpec()
    assert spec.n_groups == 135
    assert (spec.spacing_mm, spec.shape) == ((0.8, 0.8, 0.8), (405, 420, 420))
    assert (spec.clip_hu, spec.offset, spec.group) == ((-1000, 800), -0.449, 3)


def test_spec_goes_through_json() -> None:
    spec = InputSpec((2.4, 1.6, 1.6), (30, 64, 96), (-1000, 200), -0.5, 5, average=True)
    assert InputSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"shape": (404, 420, 420)}, "groups of 3"),
        ({"shape": (0, 420, 420)}, "shape"),
        ({"shape": (405, 420)}, "shape"),
        ({"spacing_mm": (0.8, 0.8, 0)}, "spacing"),
        ({"spacing_mm": (0.8, 0.8, float("nan"))}, "spacing"),
        ({"clip_hu": (800, -1000)}, "clip"),
        ({"offset": float("inf")}, "offset"),
        ({"group": 0}, "groups"),
        ({"average": 1}, "average"),
    ],
)
def test_impossible_specs_are_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        InputSpec(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"colour": 1}, {"shape": 5}, {"group": None}])
def test_specs_from_elsewhere_are_checked(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="input spec"):
        InputSpec.from_dict({**InputSpec().to_dict(), **change})
    with pytest.raises(ValueError, match="input spec"):
        InputSpec.from_dict({})


def test_older_specs_say_nothing_of_averages() -> None:
    older = {key: value for key, value in InputSpec().to_dict().items() if key != "average"}
    assert InputSpec.from_dict(older) == InputSpec()


def test_equal_spacing_is_copied_bit_for_bit_and_centred() -> None:
    hu = noise((33, 37, 44))
    made = prepare(canonical(hu), SMALL)
    np.testing.assert_array_equal(made.hu[:, 1:38, :], hu[1:31, :, 2:42])  # 3 rows of padding: 1 before, 2 behind
    assert (made.hu[:, 0] == -1000).all()
    assert (made.hu[:, 38:] == -1000).all()
    np.testing.assert_allclose(made.geometry.to_world((0, 1, 0)), canonical(hu).geometry.to_world((1, 0, 2)))


def test_spacing_that_is_equal_but_for_rounding_is_not_interpolated() -> None:
    hu = noise((30, 40, 40))
    np.testing.assert_array_equal(prepare(canonical(hu, (0.8000001, 0.8, 0.7999999)), SMALL).hu, hu)


def test_every_second_voxel_is_taken_exactly_where_it_is_met() -> None:
    hu = noise((60, 80, 80))
    np.testing.assert_array_equal(prepare(canonical(hu, (0.4, 0.4, 0.4)), SMALL).hu, hu[::2, ::2, ::2])


def test_stored_range_is_clipped_as_the_authors_did() -> None:
    hu = np.full((30, 40, 40), 3000, np.int16)
    hu[:10] = -2048
    made = prepare(canonical(hu), SMALL)
    assert (made.hu[:10] == -1000).all()
    assert (made.hu[10:] == 1000).all()
    edge = prepare(canonical(hu, (1.0, 1.0, 1.0)), SMALL)  # a spline overshoots at edges
    assert edge.hu.min() == -1000
    assert edge.hu.max() == 1000


@pytest.mark.parametrize("spacing", [(2.5, 0.7, 0.75), (0.625, 0.9, 0.8), (1.25, 0.8, 0.8), (0.8, 0.5, 1.1)])
def test_interpolation_equals_simpleitk(spacing: tuple[float, float, float]) -> None:
    volume = canonical(noise((21, 45, 50)), spacing)
    made = prepare(volume, SMALL)
    expected = resample_oblique(volume.hu, volume.geometry, made.geometry, -1000, (-1000, 1000))
    index = np.stack(np.meshgrid(*map(np.arange, SMALL.shape), indexing="ij"), -1)
    grid = volume.geometry.resampled(SMALL.spacing_mm)
    at = np.rint(grid.to_index(made.geometry.to_world(index)))
    on_grid = ((at >= 0) & (at < grid.shape)).all(axis=-1)
    assert on_grid.mean() > 0.4
    assert (made.hu[~on_grid] == -1000).all()
    difference = np.abs(made.hu.astype(int) - expected)[on_grid]
    assert difference.max() <= 1  # rounding of halves
    assert (difference != 0).mean() < 1e-3


AVERAGING = InputSpec((2.4, 1.6, 1.6), (30, 40, 40), average=True)


def test_averages_keep_a_constant_and_a_slope() -> None:
    slope = (np.arange(90)[:, None, None] * 4 + np.arange(80)[:, None] * 3 + np.arange(80) * 2 - 500).astype(np.int16)
    made = prepare(canonical(slope), AVERAGING)
    s, r, c = np.meshgrid(np.arange(30) * 3, np.arange(40) * 2, np.arange(40) * 2, indexing="ij")
    inner = (slice(1, -1),) * 3  # at the rim half of a voxel lies outside the CT
    np.testing.assert_allclose(made.hu[inner], (4 * s + 3 * r + 2 * c - 500)[inner], atol=1)
    assert (prepare(canonical(np.full((90, 80, 80), 40, np.int16)), AVERAGING).hu == 40).all()


def test_averages_lower_white_noise_as_the_voxels_in_them_do() -> None:
    hu = np.random.default_rng(0).normal(0, 100, (90, 80, 80)).astype(np.int16)
    sampled = prepare(canonical(hu), replace(AVERAGING, average=False)).hu
    averaged = prepare(canonical(hu), AVERAGING).hu
    assert 90 < sampled.std() < 110
    assert averaged.std() == pytest.approx(100 / np.sqrt(3 * 2 * 2), rel=0.15)


def test_a_fleck_between_two_centres_is_averaged_not_missed() -> None:
    hu = np.full((90, 80, 80), 0, np.int16)
    hu[46, 41, 41] = 1000
    assert prepare(canonical(hu), replace(AVERAGING, average=False)).hu.max() == 0
    averaged = prepare(canonical(hu), AVERAGING).hu
    assert averaged.sum() == pytest.approx(1000 / 12, rel=0.2)


def test_smaller_or_equal_voxels_are_never_averaged() -> None:
    hu = noise((30, 40, 40))
    spec = replace(SMALL, average=True)
    np.testing.assert_array_equal(prepare(canonical(hu), spec).hu, hu)
    coarse = canonical(hu, (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(prepare(coarse, spec).hu, prepare(coarse, SMALL).hu)


def test_an_oblique_ct_is_averaged_where_it_lies() -> None:
    tilt = np.deg2rad(10)
    affine = canonical(noise((90, 80, 80))).geometry.affine.copy()
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    geometry = Geometry((90, 80, 80), turn @ affine)
    hu = np.full((90, 80, 80), -1000, np.int16)
    hu[40:50, 35:45, 50:60] = 500
    centre = geometry.to_world((44.5, 39.5, 54.5))
    for spec in (AVERAGING, replace(AVERAGING, average=False)):
        made = prepare(Volume(hu, geometry), spec)
        weight = made.hu.astype(float) + 1000
        index = np.stack(np.meshgrid(*map(np.arange, made.hu.shape), indexing="ij"), -1)
        found = (made.geometry.to_world(index) * weight[..., None]).sum((0, 1, 2)) / weight.sum()
        np.testing.assert_allclose(found, centre, atol=0.8)


def test_a_single_slice_is_spread_over_its_own_voxel_only() -> None:
    made = prepare(canonical(np.full((1, 40, 40), 40, np.int16), (2.4, 0.8, 0.8)), SMALL)
    filled = np.flatnonzero((made.hu == 40).all(axis=(1, 2)))
    assert filled.tolist() == [13, 14]  # 2.4 mm are 3 voxels; the third centre is behind the slice's edge (1.6 > 1.2)


def test_resampling_is_cancelled_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.resample.BLOCK_BYTES", 40_000)
    volume = canonical(noise((21, 45, 50)), (2.5, 0.7, 0.75))
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(Cancelled):
        prepare(volume, SMALL, cancelled)
    assert len(asked) == 3
    np.testing.assert_array_equal(prepare(volume, SMALL, lambda: False).hu, prepare(volume, SMALL).hu)


def markers() -> dict[str, np.ndarray]:
    """Direction matrices: columns are the patient directions of the slice, row and column axes."""
    c, s = np.cos(np.radians(17)), np.sin(np.radians(17))
    tilt = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    shear = CANONICAL_DIRECTION.copy()
    shear[1, 0] = 0.3  # gantry tilt: slices move to the back as they go down
    return {
        "canonical": CANONICAL_DIRECTION,
        "feet first": CANONICAL_DIRECTION * [-1, 1, 1],
        "prone": CANONICAL_DIRECTION * [1, -1, -1],
        "mirrored": CANONICAL_DIRECTION * [1, 1, -1],
        "sagittal stack": CANONICAL_DIRECTION[:, [2, 0, 1]],
        "nearly aligned": CANONICAL_DIRECTION + 5e-4 * np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 0]]),
        "oblique": tilt @ CANONICAL_DIRECTION,
        "oblique, turned": tilt @ CANONICAL_DIRECTION[:, [1, 2, 0]] * [1, -1, 1],
        "sheared": shear,
    }


@pytest.mark.parametrize("name", list(markers()))
def test_a_marker_stays_where_it_is_in_the_patient(name: str) -> None:
    spacing, shape = np.array((1.5, 0.9, 0.7)), (40, 60, 70)
    affine = np.eye(4)
    affine[:3, :3] = markers()[name] * spacing
    affine[:3, 3] = (-40, 25, 310)
    geometry = Geometry(shape, affine)
    marker = geometry.to_world((22.3, 26.8, 40.4))
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    distance = np.linalg.norm(geometry.to_world(index) - marker, axis=-1)
    hu = np.rint(1800 * np.exp(-((distance / 3) ** 2)) - 1000).astype(np.int16)
    made = prepare(Volume(np.clip(hu, -1000, 1000), geometry), InputSpec((0.8, 0.8, 0.8), (90, 84, 84)))
    assert made.geometry.is_canonical
    weight = np.clip(made.hu.astype(np.float64) + 900, 0, None)
    where = np.stack(np.meshgrid(*map(np.arange, made.hu.shape), indexing="ij"), -1)
    centre = (weight[..., None] * where).sum((0, 1, 2)) / weight.sum()
    assert np.linalg.norm(made.geometry.to_world(centre) - marker) < 0.1  # mm
    assert made.hu.max() > 700


def test_patient_grid_covers_an_oblique_field_of_view() -> None:
    affine = np.eye(4)
    affine[:3, :3] = markers()["oblique"] * np.array((1.5, 0.9, 0.7))
    geometry = Geometry((40, 60, 70), affine)
    grid = patient_grid(geometry, (0.8, 0.8, 0.8))
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in geometry.shape], indexing="ij"), -1).reshape(-1, 3)
    inside = grid.to_index(geometry.to_world(corners))
    assert inside.min() > -0.501
    assert (inside.max(axis=0) < np.asarray(grid.shape) - 0.499).all()
    assert grid.is_canonical


def test_scaling_is_the_authors() -> None:
    hu = np.full((30, 40, 40), -1000, np.int16)
    hu[3:6] = np.array([-1000, -100, 800])[:, None, None]
    hu[6, 0, 0] = 1000
    made = ModelInput(hu, Geometry.canonical(hu.shape, (0.8,) * 3), SMALL)
    groups = made.group(1, 3)
    assert groups.shape == (2, 3, 40, 40)
    assert groups.dtype == np.float32
    assert groups.flags.c_contiguous
    np.testing.assert_allclose(groups[0, :, 5, 7], (-0.449, 0.051, 0.551), atol=1e-6)
    assert groups[1, 0, 0, 0] == pytest.approx(0.551)
    np.testing.assert_array_equal(made.groups([2, 1]), groups[::-1])


def test_reading_groups_leaves_the_volume_alone() -> None:
    made = prepare(canonical(noise((30, 40, 40))), SMALL)
    before = made.hu.copy()
    made.group(0, 10)
    np.testing.assert_array_equal(made.hu, before)


def test_padding_groups_are_those_that_look_like_air_throughout() -> None:
    made = prepare(canonical(noise((18, 40, 40))), SMALL)  # 6 slices of padding before, 6 behind
    assert made.padding_groups().tolist() == [True] * 2 + [False] * 6 + [True] * 2
    first, second = made.group(0, 1), made.group(9, 10)
    np.testing.assert_array_equal(first, second)


def test_model_input_checks_its_parts() -> None:
    hu = noise((30, 40, 40))
    with pytest.raises(ValueError, match="int16"):
        ModelInput(hu.astype(np.float32), Geometry.canonical(hu.shape, (0.8,) * 3), SMALL)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        ModelInput(hu[:27], Geometry.canonical((27, 40, 40), (0.8,) * 3), SMALL)


def test_memory_stays_near_the_result() -> None:
    volume = canonical(noise((120, 256, 256)), (1.25, 0.7, 0.7))
    spec = InputSpec((0.8, 0.8, 0.8), (186, 220, 220))
    tracemalloc.start()
    made = prepare(volume, spec)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < made.hu.nbytes + 4 * 48 * 2**20


def test_nodules_of_a_real_ct_stay_where_they_are(shared_data: Path) -> None:
    """2.5 x 0.86 x 0.86 mm slices to 0.8 mm: tissue at the three published nodule centres (LUNA16) is the same."""
    folder = shared_data / "ct" / "lidc-idri-1011"
    volume = read_ct(folder / "LIDC-IDRI-1011_CT_133slices.zip")
    made = prepare(volume, InputSpec())
    with (folder / "LUNA16_nodules_LIDC-IDRI-1011.csv").open() as stream:
        nodules = [[float(row[f"coord{axis}"]) for axis in "XYZ"] for row in csv.DictReader(stream)]
    assert len(nodules) == 3
    for centre in nodules:
        k, r, c = np.rint(volume.geometry.to_index(centre)).astype(int)
        expected = volume.hu[k, r - 1 : r + 2, c - 1 : c + 2].mean()
        k, r, c = np.rint(made.geometry.to_index(centre)).astype(int)
        assert made.hu[k, r - 1 : r + 2, c - 1 : c + 2].mean() == pytest.approx(expected, abs=60)
