from __future__ import annotations

from dataclasses import replace

import pytest

from hirescam_napari._case import Case
from hirescam_napari._layers import to_display
from training.explain.display import PerLabel, SharedOverLabels


def test_a_scaled_map_is_made_once(case: Case) -> None:
    first = case.display(PerLabel(), "air trapping", "hirescam")
    assert case.display(PerLabel(), "air trapping", "hirescam") is first
    assert case.display(SharedOverLabels(), "air trapping", "hirescam") is not first


def test_old_maps_are_forgotten(case: Case) -> None:
    assert case.explanation is not None
    first = case.display(PerLabel(), "air trapping", "hirescam")
    for limit in range(4):
        for label in case.explanation.labels:
            for method in ("hirescam", "gradcam"):
                case.display(PerLabel(signed=bool(limit % 2)) if limit < 2 else SharedOverLabels(), label, method)
    assert len(case._displays) <= 64
    assert case.display(PerLabel(), "air trapping", "hirescam").limits == first.limits


def test_slices_and_groups_agree_with_the_geometry(case: Case) -> None:
    assert case.picture is not None
    assert case.explanation is not None
    for number in (0, 4, 8):
        position = float(to_display(case.picture.geometry.to_world((number, 0, 0)))[0])
        assert case.slice_at(position) == number
        assert case.group_at(position) == pytest.approx(case.explanation.group_at(number))
    assert case.slice_at(-1e6) == 0
    assert case.slice_at(1e6) == case.n_slices - 1


def test_a_group_in_the_padding_is_shown_at_the_end_of_the_ct(case: Case) -> None:
    assert case.explanation is not None
    assert case.picture is not None
    last = case.shown_mm(10_000)
    assert case.slice_at(last) == case.n_slices - 1
    assert case.shown_mm(4) == pytest.approx(case.group_mm(4))


def test_without_a_result_there_is_nothing_to_ask(ct_case: Case) -> None:
    assert ct_case.group_at(0.0) is None
    with pytest.raises(ValueError, match="no explanation"):
        ct_case.group_mm(0)
    with pytest.raises(ValueError, match="no explanation"):
        ct_case.display(PerLabel(), "air trapping", "hirescam")


def test_a_result_without_its_ct_has_no_slices(case: Case) -> None:
    alone = replace(case, volume=None, picture=None)
    assert (alone.n_slices, alone.slice_at(0.0)) == (0, None)
    assert alone.shown_mm(3) == alone.group_mm(3)
