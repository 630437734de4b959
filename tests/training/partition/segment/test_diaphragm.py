"""The surface between the lungs' bases: exact where it is known, smooth elsewhere, and no limit without a base."""

from __future__ import annotations

import numpy as np

from training.partition.segment.diaphragm import FAR_MM, above_diaphragm, membrane


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


def chest(ends: int) -> np.ndarray:
    """Two lungs to slice ``ends`` with a heart between them that the left one also covers from above."""
    lungs = np.zeros((40, 40, 60), bool)
    lungs[5:ends, 5:35, 5:20] = lungs[5:ends, 5:35, 40:55] = True
    lungs[5:15, 5:35, 35:40] = True
    return lungs


def test_lungs_that_rest_on_the_heart_tell_nothing_of_the_diaphragm() -> None:
    above = above_diaphragm(chest(30), (3.0, 3.0, 3.0), 25, -1.0)
    lowest = np.flatnonzero(above[:, 20, 30])[-1]
    assert lowest == int(29 + FAR_MM / 3.0)
    assert not above[lowest + 1 :].any()


def test_there_is_heart_in_any_case_above_a_given_slice() -> None:
    above = above_diaphragm(chest(30), (3.0, 3.0, 3.0), 25, 36.0)
    assert np.flatnonzero(above[:, 20, 30])[-1] == int(36 + FAR_MM / 3.0)


def test_a_scan_that_ends_within_the_lungs_has_no_lower_limit() -> None:
    assert above_diaphragm(chest(40), (3.0, 3.0, 3.0), 39, -1.0).all()
    assert above_diaphragm(chest(30), (3.0, 3.0, 3.0), 35, -1.0).all()
