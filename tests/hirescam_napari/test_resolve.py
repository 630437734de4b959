from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hirescam_napari._case import Case
from hirescam_napari._layers import to_display
from hirescam_napari._resolve import display_name, error_text, readout, resolve, scale_words, slice_text, title_text
from hirescam_napari._state import SCALINGS, Layout, ViewState
from training.explain.checks import HARDLY_ANY_EVIDENCE, NO_EVIDENCE
from training.issues import InputError, error


@pytest.fixture
def state(case: Case) -> ViewState:
    assert case.explanation is not None
    return ViewState(label=case.explanation.labels[3])


def test_before_a_model_has_run_only_the_ct_is_planned(ct_case: Case) -> None:
    plan = resolve(ViewState(window="bone"), ct_case)
    assert (plan.maps, plan.focus, plan.window_hu) == ((), None, (-500, 1300))
    assert "No model" in plan.title


def test_the_same_state_gives_an_equal_plan(state: ViewState, case: Case) -> None:
    assert resolve(state, case) == resolve(state, case)


def test_another_label_changes_maps_title_and_focus_but_not_the_window(state: ViewState, case: Case) -> None:
    assert case.explanation is not None
    before = resolve(state, case)
    state.label = case.explanation.labels[5]
    after = resolve(state, case)
    assert before.maps != after.maps
    assert before.title != after.title
    assert before.window_hu == after.window_hu
    assert after.focus is not None
    assert after.focus.group == case.explanation.top_slice(case.explanation.labels[5])


def test_the_overlay_shows_the_chosen_methods_and_side_by_side_both(state: ViewState, case: Case) -> None:
    assert [m.visible for m in resolve(state, case).maps] == [True, False]
    state.layout = Layout.SIDE_BY_SIDE
    assert [m.visible for m in resolve(state, case).maps] == [True, True]


def test_values_are_those_of_the_formula(state: ViewState, case: Case) -> None:
    assert case.explanation is not None
    for plan in resolve(state, case).maps:
        assert np.array_equal(plan.display.values, case.explanation.map(str(state.label), plan.method))


def test_signed_maps_have_symmetric_limits(state: ViewState, case: Case) -> None:
    state.signed = True
    for plan in resolve(state, case).maps:
        assert plan.display.limits[0] == -plan.display.limits[1]
        assert plan.display.colormap == "diverging"


def test_placement_moves_the_cells(state: ViewState, case: Case) -> None:
    true = resolve(state, case).maps[0]
    state.placement = "stretch"
    drawn = resolve(state, case).maps[0]
    assert true.scale[1:] == pytest.approx((32 * 0.8, 32 * 0.8))
    assert drawn.scale[1:] == pytest.approx((70 * 0.8, 70 * 0.8))
    assert true.translate[1] - drawn.translate[1] == pytest.approx((128 - 34.5) * 0.8)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("signed", [False, True])
def test_every_scaling_says_what_it_is(state: ViewState, case: Case, scaling: str, signed: bool) -> None:
    state.scaling, state.signed = scaling, signed
    plan = resolve(state, case)
    assert plan.scale_words == scale_words(state)
    assert ("against" in plan.scale_words) == (signed and scaling != "paper")


@pytest.mark.parametrize(
    ("weight", "bias", "words"),
    [(-1.0, 0.0, NO_EVIDENCE), (1e-6, 5.0, HARDLY_ANY_EVIDENCE), (1.0, 0.0, None)],
)
def test_a_map_of_hardly_any_evidence_says_so(
    state: ViewState, case: Case, weight: float, bias: float, words: str | None
) -> None:
    made = case.explanation
    assert made is not None
    weights, biases = np.full_like(made.weights, weight), np.full_like(made.bias, bias)
    flat = replace(made, z=np.abs(made.z), weights=weights, bias=biases)
    plan = resolve(state, replace(case, explanation=flat))
    assert plan.scale_words.split("\n") == [scale_words(state), *([words] if words else [])]


def test_the_title_names_probability_and_ratio(state: ViewState, case: Case) -> None:
    assert case.explanation is not None
    text = title_text(case.explanation, str(state.label))
    assert display_name(str(state.label)) in text
    assert "%" in text
    assert "mean" in text
    unknown = replace(case.explanation, model=replace(case.explanation.model, mean_probability={}))
    assert "mean" not in title_text(unknown, str(state.label))


def test_slices_are_counted_from_one_at_the_head(case: Case) -> None:
    assert case.picture is not None
    first = float(to_display(case.picture.geometry.origin_mm)[0])
    assert slice_text(case, first) == f"Slice 1 of {case.n_slices}"
    assert slice_text(Case(), 0.0) == ""


def test_the_readout_gives_hu_and_the_values_of_the_cell(state: ViewState, case: Case) -> None:
    assert case.explanation is not None
    assert case.volume is not None
    cell = (4, 2, 3)
    world = case.explanation.geometry().to_world(cell)
    found = readout(state, case, tuple(to_display(world)))  # type: ignore[arg-type]
    index = tuple(np.floor(case.volume.geometry.to_index(world) + 0.5).astype(int))
    assert found.cell == cell
    assert f"{case.volume.hu[index]} HU" in found.text
    assert f"HiResCAM {case.explanation.map(str(state.label))[cell]:+.2g}" in found.text
    assert "Grad-CAM" in found.text


def test_the_field_of_a_cell_is_its_box_on_the_ct(state: ViewState, case: Case) -> None:
    assert case.explanation is not None
    cell = (4, 0, 5)
    world = case.explanation.geometry().to_world(cell)
    found = readout(state, case, tuple(to_display(world)))  # type: ignore[arg-type]
    corners = case.explanation.cell_box(cell).corners_mm
    assert found.field_mm == pytest.approx(
        (corners[:, 1].min(), corners[:, 0].min(), corners[:, 1].max(), corners[:, 0].max())
    )


def test_outside_the_map_and_outside_the_ct_is_said(state: ViewState, case: Case) -> None:
    assert case.picture is not None
    corner = tuple(to_display(case.picture.geometry.origin_mm))
    assert "outside the map" in readout(state, case, corner).text  # type: ignore[arg-type]
    assert "outside the CT" in readout(state, case, (1e5, 1e5, 1e5)).text


def test_errors_are_shown_as_the_user_reads_them() -> None:
    refused = InputError(error("bad", "it is broken.", "Mend it.", "scan.dcm"))
    assert error_text(refused) == "error: scan.dcm: it is broken. Mend it."
    assert error_text(KeyError("x")) == "KeyError: 'x'"
