"""The quick look before predictions: whole chests pass; crops, other body parts and empty scans are named."""

from __future__ import annotations

import numpy as np
import pytest

from training.cohort.phantom import make_phantom
from training.geometry import Geometry
from training.partition.segment import chest_check
from training.volume import Volume


def test_whole_chests_pass(real, painted) -> None:
    assert chest_check(real.volume) == ()
    assert chest_check(painted.volume) == ()


@pytest.mark.parametrize(
    ("window", "code"),
    [
        ((slice(0, 45),), "lungs-at-end"),
        ((slice(25, None),), "lungs-at-end"),
        ((slice(None), slice(10, 54), slice(14, 56)), "lungs-at-edge"),
        ((slice(20, 32),), "cropped-chest"),
        ((slice(65, None),), "not-a-chest"),
        ((slice(0, 3),), "not-a-chest"),
    ],
)
def test_parts_and_other_regions_are_named(real, window, code) -> None:
    window = window + (slice(None),) * (3 - len(window))
    assert code in {issue.code for issue in chest_check(real.cropped(*window).volume)}


def test_a_trachea_at_the_first_slice_is_no_lung_there() -> None:
    volume = make_phantom(0, "small").volume
    air = volume.hu[0] < -500
    assert air[40:80, 50:80].sum() * 2.6**2 > 200  # the trachea
    assert chest_check(volume) == ()
    cut = slice(14, None)  # the tops of the lungs
    cropped = Volume(volume.hu[cut], volume.geometry.subgrid((14, 0, 0), (1, 1, 1), volume.hu[cut].shape))
    assert [issue.code for issue in chest_check(cropped)] == ["lungs-at-end"]


def test_a_block_of_water_and_empty_air_are_no_chests() -> None:
    geometry = Geometry.canonical((50, 90, 90), (4.0, 4.0, 4.0))
    hu = np.full(geometry.shape, -1000, np.int16)
    assert [issue.code for issue in chest_check(Volume(hu, geometry))] == ["not-a-chest"]
    hu[:, 20:70, 20:70] = 0
    assert [issue.code for issue in chest_check(Volume(hu, geometry))] == ["not-a-chest"]
