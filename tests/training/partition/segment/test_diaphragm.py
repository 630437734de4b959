"""The surface between the lungs' bases: exact where it is known, smooth elsewhere, and no limit without a base."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.partition.segment.diaphragm import FAR_MM, above_diaphragm, membrane
from training.partition.segment.lungs import Lungs


def test_a_membrane_keeps_what_is_known_and_averages_its_neighbours_elsewhere() -> None:
    rows, columns = np.indices((9, 12))
    plane = 3.0 + 2 * rows - 0.5 * columns
    known = np.ones(plane.shape, bool)
    known[2:6, 3:9] = False
    assert np.allclose(membrane(np.where(known, plane, 0), known), plane)
    bumpy = np.where(known, plane + 5 * (columns == 2), 0)
    found = membrane(bumpy, known)
    assert np.array_equal(found[known], bumpy[known])
    around = (found[:-2, 1:-1] + found[2:, 1:-1] + found[1:-1, :-2] + found[1:-1, 2:]) / 4
    assert np.allclose(found[1:-1, 1:-1][~known[1:-1, 1:-1]], around[~known[1:-1, 1:-1]])


SPACING = (3.0, 3.0, 3.0)


def chest(right: int, left: int) -> Lungs:
    """Two lungs to slices ``right`` and ``left``, a heart between them that the left one covers from above as well."""
    lungs = np.zeros((2, 60, 40, 60), bool)
    lungs[0, 5:right, 5:35, 5:20] = lungs[1, 5:left, 5:35, 40:55] = True
    lungs[1, 5:15, 5:35, 35:40] = True
    none = np.zeros_like(lungs[0])
    return Lungs(lungs[0], lungs[1], lungs[0] | lungs[1], none, none)


def lowest(above: np.ndarray) -> int:
    """The last slice above the diaphragm in the middle."""
    return int(np.flatnonzero(above[:, 20, 30])[-1])


def test_lungs_that_rest_on_the_heart_tell_nothing_of_the_diaphragm() -> None:
    above = above_diaphragm(chest(40, 40), SPACING, (25, 25), -1.0)
    assert lowest(above) == int(39 + FAR_MM / 3)
    assert not above[lowest(above) + 1 :].any()


def test_a_base_far_above_the_other_one_is_not_the_diaphragm() -> None:
    assert lowest(above_diaphragm(chest(50, 36), SPACING, (25, 22), -1.0)) == int(49 + FAR_MM / 3)
    assert above_diaphragm(chest(30, 30), SPACING, (25, 25), -1.0).all()  # neither reaches into its recess


def test_a_lung_without_air_tells_nothing() -> None:
    lungs = chest(50, 42)
    air = lungs.air & (np.arange(60) < 30)
    assert lowest(above_diaphragm(replace(lungs, air=air), SPACING, (25, 25), -1.0)) == int(49 + FAR_MM / 3)


def test_there_is_heart_in_any_case_above_a_given_slice() -> None:
    assert lowest(above_diaphragm(chest(40, 40), SPACING, (25, 25), 46.0)) == int(46 + FAR_MM / 3)


def test_a_scan_that_ends_within_the_lungs_has_no_lower_limit() -> None:
    assert above_diaphragm(chest(60, 60), SPACING, (58, 58), -1.0).all()
