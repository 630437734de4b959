"""The controller on napari's viewer model: no window, no Qt panels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from napari.components import ViewerModel

from hirescam_napari._case import Case
from hirescam_napari._controller import Controller
from hirescam_napari._keys import KEYS
from hirescam_napari._layers import picture_of, to_display
from hirescam_napari._overlays import NOT_FOR_CLINICAL_USE, SLICE, TITLE
from hirescam_napari._resolve import NO_CT, slice_text
from hirescam_napari._state import Layout, ViewState
from training.explain.result import Explanation
from training.volume import Provenance, Volume


@dataclass
class RecordedPanels:
    """Remembers what it was told."""

    cases: list[Case] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    groups: list[float] = field(default_factory=list)
    readouts: list[str] = field(default_factory=list)
    order: Sequence[str] = ()

    def show_case(self, case: Case) -> None:
        self.cases.append(case)

    def show_label(self, case: Case, label: str) -> None:
        self.labels.append(label)

    def show_state(self, state: ViewState) -> None:
        self.state = replace(state)

    def show_group(self, group: float) -> None:
        self.groups.append(group)

    def show_readout(self, text: str) -> None:
        self.readouts.append(text)

    def labels_in_order(self) -> Sequence[str]:
        return self.order


@pytest.fixture
def panels() -> RecordedPanels:
    return RecordedPanels()


@pytest.fixture
def controller(panels: RecordedPanels) -> Iterator[Controller]:
    made = Controller(ViewerModel(), panels)
    yield made
    made.disconnect()


@pytest.fixture
def opened(controller: Controller, case: Case, panels: RecordedPanels) -> Controller:
    controller.open_case(case)
    panels.order = case.explanation.labels if case.explanation else ()
    return controller


def shown(controller: Controller) -> list[str]:
    return [layer.name for layer in controller.viewer.layers if layer.visible]


def near_group(controller: Controller) -> int:
    """The slice group whose map is drawn: the nearest one."""
    group = controller.case.group_at(controller.canvas.slice_mm)
    assert group is not None
    return round(group)


def test_a_ct_alone_is_shown_in_its_middle_slice(controller: Controller, ct_case: Case) -> None:
    controller.open_case(ct_case)
    assert shown(controller) == ["CT"]
    assert controller.case.slice_at(controller.canvas.slice_mm) == ct_case.n_slices // 2
    assert controller.viewer.layers["CT"].data is ct_case.volume.hu  # type: ignore[union-attr]


def test_the_most_likely_label_is_shown_at_its_top_slice(opened: Controller, panels: RecordedPanels) -> None:
    explanation = opened.case.explanation
    assert explanation is not None
    label = explanation.labels[int(explanation.probabilities.argmax())]
    assert opened.state.label == label
    assert panels.labels == [label]
    assert near_group(opened) == pytest.approx(explanation.top_slice(label))


def test_clicking_labels_swaps_data_in_the_same_layers(opened: Controller) -> None:
    explanation = opened.case.explanation
    assert explanation is not None
    layers = list(opened.viewer.layers)
    layer = opened.canvas.maps["hirescam"]
    held = layer.data
    for label in explanation.labels[:5]:
        opened.select(label)
        assert np.array_equal(layer.data, explanation.map(label))
        assert layer.contrast_limits == pytest.approx([0, explanation.map(label).max()])
        assert near_group(opened) == pytest.approx(explanation.top_slice(label))
    assert layer.data is held
    assert list(opened.viewer.layers) == layers


def test_a_hidden_map_is_brought_up_to_date_when_it_is_shown(opened: Controller) -> None:
    explanation = opened.case.explanation
    assert explanation is not None
    opened.select(explanation.labels[2])
    opened.state.toggle_method("gradcam")
    assert np.array_equal(opened.canvas.maps["gradcam"].data, explanation.map(explanation.labels[2], "gradcam"))


def test_side_by_side_is_ct_and_map_twice_with_shared_pixels(opened: Controller) -> None:
    opened.state.layout = Layout.SIDE_BY_SIDE
    grid, layers = opened.viewer.canvas.grid, opened.viewer.layers
    assert (grid.enabled, grid.stride, grid.actual_shape(layers)) == (True, 2, (1, 2))
    cells = [[layers[i].name for i in grid.contents_at((0, c), layers)] for c in range(2)]
    assert cells == [["CT", "HiResCAM"], ["CT (2)", "Grad-CAM"]]
    assert layers["CT (2)"].data is layers["CT"].data
    opened.state.layout = Layout.OVERLAY
    assert not grid.enabled
    assert shown(opened) == ["CT", "HiResCAM"]


def test_the_two_cts_share_one_window(opened: Controller) -> None:
    opened.state.layout = Layout.SIDE_BY_SIDE
    opened.change(window="mediastinum")
    limits = [tuple(opened.viewer.layers[name].contrast_limits) for name in ("CT", "CT (2)")]
    assert limits == [(-125, 225), (-125, 225)]
    opened.viewer.layers["CT (2)"].contrast_limits = (-10, 10)
    assert tuple(opened.viewer.layers["CT"].contrast_limits) == (-10, 10)


def test_the_users_own_layers_stay_out_of_the_grids_way(opened: Controller) -> None:
    opened.viewer.add_points(np.zeros((1, 3)), name="mine")
    opened.viewer.layers.move(len(opened.viewer.layers) - 1, 0)
    opened.state.layout = Layout.SIDE_BY_SIDE
    assert [layer.name for layer in opened.viewer.layers][:2] == ["CT", "HiResCAM"]
    opened.close_case()
    assert [layer.name for layer in opened.viewer.layers] == ["mine"]


def test_the_slider_counts_the_slices_of_the_ct(opened: Controller) -> None:
    assert opened.viewer.dims.nsteps[0] == opened.case.n_slices
    opened.state.toggle_placement()
    assert opened.viewer.dims.nsteps[0] == opened.case.n_slices


def test_thick_slices_let_every_slice_group_be_shown(controller: Controller, case: Case) -> None:
    assert case.explanation is not None
    geometry = case.explanation.input_geometry.resampled((6.0, 6.0, 6.0))
    volume = Volume(np.zeros(geometry.shape, np.int16), geometry)
    controller.open_case(Case(volume, picture_of(volume), case.explanation))
    for group in range(case.explanation.cells.n_cells[0] - 1):
        controller.go_to_group(group)
        assert near_group(controller) == group


def test_the_arrows_go_from_slice_to_slice(opened: Controller) -> None:
    opened.go_to_group(0)
    number = opened.case.slice_at(opened.canvas.slice_mm)
    assert number is not None
    opened.step_slice(1)
    assert opened.case.slice_at(opened.canvas.slice_mm) == number + 1
    opened.step_slice(-100)
    assert opened.case.slice_at(opened.canvas.slice_mm) == 0


def test_moving_the_slice_moves_the_cursor_and_the_text(opened: Controller, panels: RecordedPanels) -> None:
    picture, explanation = opened.case.picture, opened.case.explanation
    assert picture is not None
    assert explanation is not None
    opened.canvas.set_slice_mm(float(to_display(picture.geometry.to_world((2, 0, 0)))[0]))
    assert panels.groups[-1] == pytest.approx(explanation.group_at(2))
    assert opened.canvas.overlays.text("hirescam_slice") == f"Not for clinical use\nSlice 3 of {opened.case.n_slices}"


def test_a_click_in_the_plot_moves_the_slice_and_home_goes_back(opened: Controller) -> None:
    opened.go_to_group(1)
    assert near_group(opened) == pytest.approx(1)
    opened.go_to_top_slice()
    assert opened.plan.focus is not None
    assert near_group(opened) == opened.plan.focus.group


def test_a_display_choice_does_not_move_the_slice(opened: Controller) -> None:
    opened.go_to_group(1)
    opened.change(window="bone", signed=True)
    opened.state.layout = Layout.SIDE_BY_SIDE
    assert near_group(opened) == pytest.approx(1)


def test_the_arrows_walk_through_the_table_and_stop_at_its_ends(opened: Controller) -> None:
    labels = opened.panels.labels_in_order()
    opened.select(labels[0])
    opened.step_label(-1)
    assert opened.state.label == labels[0]
    opened.step_label(1)
    assert opened.state.label == labels[1]
    opened.step_label(100)
    assert opened.state.label == labels[-1]


def test_every_key_has_an_action(controller: Controller) -> None:
    assert {key.action for key in KEYS} == set(controller.actions())


def test_every_action_works_with_and_without_a_case(controller: Controller, case: Case) -> None:
    for opened in (False, True):
        if opened:
            controller.open_case(case)
        for action in controller.actions().values():
            action()
    assert controller.case.explanation is case.explanation


def test_a_result_that_comes_too_late_is_dropped(controller: Controller, case: Case, explanation: Explanation) -> None:
    late = controller.begin("run")
    controller.begin("run")
    controller.open_case(replace(case, explanation=None))
    assert not controller.show_explanation(explanation, late)
    assert controller.case.explanation is None


def test_opening_another_ct_makes_runs_stale_but_not_the_other_way_round(controller: Controller) -> None:
    load, run = controller.begin("load"), controller.begin("run")
    assert controller.is_current(load)
    controller.begin("load")
    assert not controller.is_current(run)
    assert not controller.is_current(load)


def test_a_result_stays_when_another_label_is_clicked_while_a_run_is_under_way(opened: Controller) -> None:
    explanation = opened.case.explanation
    assert explanation is not None
    ticket = opened.begin("run")
    opened.select(explanation.labels[4])
    assert opened.case.explanation is explanation
    assert opened.show_explanation(explanation, ticket)
    assert opened.state.label == explanation.labels[4]


def test_a_model_without_the_label_falls_back_to_its_most_likely_one(opened: Controller) -> None:
    explanation = opened.case.explanation
    assert explanation is not None
    renamed = replace(explanation, labels=tuple(f"other {i}" for i in range(len(explanation.labels))))
    opened.show_explanation(renamed)
    assert opened.state.label == renamed.labels[int(renamed.probabilities.argmax())]


def test_hovering_shows_values_and_the_box_on_the_ct(opened: Controller, panels: RecordedPanels) -> None:
    explanation = opened.case.explanation
    assert explanation is not None
    opened.hover(tuple(to_display(explanation.geometry().to_world((4, 2, 2)))))  # type: ignore[arg-type]
    assert "HU" in panels.readouts[-1]
    box = opened.canvas.fields[0]
    assert box.visible
    assert np.ptp(box.data[0], axis=0) == pytest.approx(np.array(explanation.receptive_field_mm[1:]) * 420 / 691)
    assert len(opened.canvas.fields) == 1
    opened.hover((1e5, 1e5, 1e5))
    assert not box.visible


def test_the_box_can_be_switched_off(opened: Controller) -> None:
    explanation = opened.case.explanation
    assert explanation is not None
    opened.change(show_field=False)
    opened.hover(tuple(to_display(explanation.geometry().to_world((4, 2, 2)))))  # type: ignore[arg-type]
    assert opened.canvas.fields == []


def test_side_by_side_draws_the_box_on_both_cts(opened: Controller) -> None:
    explanation = opened.case.explanation
    assert explanation is not None
    opened.state.layout = Layout.SIDE_BY_SIDE
    opened.hover(tuple(to_display(explanation.geometry().to_world((4, 2, 2)))))  # type: ignore[arg-type]
    assert [box.visible for box in opened.canvas.fields] == [True, True]
    grid, layers = opened.viewer.canvas.grid, opened.viewer.layers
    assert grid.actual_shape(layers) == (1, 2)


def test_a_stored_result_without_its_ct_shows_its_maps(controller: Controller, case: Case) -> None:
    controller.open_case(replace(case, volume=None, picture=None))
    assert NO_CT in controller.plan.notices
    assert controller.canvas.overlays.text(SLICE).startswith(NOT_FOR_CLINICAL_USE)
    assert "Slice group " in controller.canvas.overlays.text(SLICE)
    assert shown(controller) == ["HiResCAM"]
    controller.state.layout = Layout.SIDE_BY_SIDE
    assert shown(controller) == ["HiResCAM", "Grad-CAM"]


def test_deleting_the_ct_layer_closes_the_case(opened: Controller, panels: RecordedPanels) -> None:
    opened.viewer.layers.remove("CT")
    assert len(opened.viewer.layers) == 0
    assert opened.case.volume is None
    assert panels.cases[-1].explanation is None


def test_letters_follow_the_axes_that_are_shown(opened: Controller) -> None:
    def letters() -> dict[str, str]:
        return {side: opened.canvas.overlays.text(f"hirescam_{side}") for side in ("left", "right", "top", "bottom")}

    assert letters() == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    opened.viewer.dims.order = (1, 0, 2)
    assert letters() == {"left": "R", "right": "L", "top": "H", "bottom": "F"}
    opened.viewer.dims.order = (2, 0, 1)
    assert letters() == {"left": "A", "right": "P", "top": "H", "bottom": "F"}
    opened.viewer.dims.ndisplay = 3
    assert set(letters().values()) == {""}


def test_letters_follow_the_orientation_of_the_camera(opened: Controller) -> None:
    opened.viewer.scene.camera.orientation = ("away", "up", "left")
    text = opened.canvas.overlays.text
    assert [text(f"hirescam_{side}") for side in ("left", "right", "top", "bottom")] == ["L", "R", "P", "A"]


def test_the_canvas_says_label_caution_scale_and_slice(opened: Controller) -> None:
    overlays = opened.canvas.overlays
    assert "%" in overlays.text("hirescam_title")
    assert overlays.text("hirescam_slice").startswith("Not for clinical use")
    assert "own maximum" in overlays.text("hirescam_scale").replace("\n", " ")
    opened.change(scaling="shared_labels")
    assert "all abnormalities" in overlays.text("hirescam_scale").replace("\n", " ")
    for layer in opened.canvas.maps.values():
        assert layer.colorbar.visible
        assert layer.name_overlay.visible
    assert opened.viewer.canvas.overlays.scale_bar.visible


def test_in_a_grid_the_words_run_along_the_foot_and_letters_stand_above_them(opened: Controller) -> None:
    overlays, canvas = opened.canvas.overlays, opened.viewer.canvas
    canvas.size = (700, 960)
    opened.change(layout=Layout.SIDE_BY_SIDE)
    foot = overlays.text(SLICE).split("\n")
    assert foot == [
        opened.plan.scale_words,
        f"Not for clinical use · {slice_text(opened.case, opened.canvas.slice_mm)}",
    ]
    assert overlays.text("hirescam_scale") == ""
    assert overlays.text("hirescam_bottom") == "P\n \n "
    canvas.size = (700, 420)
    assert len(overlays.text(SLICE).split("\n")) == 3
    assert overlays.text("hirescam_bottom").count("\n") == 3
    opened.change(layout=Layout.OVERLAY)
    assert overlays.text("hirescam_bottom") == "P"
    assert overlays.text("hirescam_scale").replace("\n", " ") == opened.plan.scale_words


def test_the_sides_letters_have_a_ground_to_be_read_on(opened: Controller) -> None:
    boxes = {side: opened.viewer.canvas.overlays[f"hirescam_{side}"].box for side in ("left", "right", "top", "bottom")}
    assert boxes == {"left": True, "right": True, "top": False, "bottom": False}


def test_disconnecting_leaves_the_viewer_as_it_was(case: Case) -> None:
    viewer = ViewerModel()
    controller = Controller(viewer, RecordedPanels())
    controller.open_case(case)
    controller.disconnect()
    assert len(viewer.layers) == 0
    assert controller.canvas.overlays.text("hirescam_title") == ""
    assert viewer.mouse_move_callbacks == []


def drawn(controller: Controller) -> dict[str, object]:
    """All that is on the canvas, by layer."""
    canvas, found = controller.canvas, {}
    for layer in canvas.layers:
        if layer.visible:
            look = (tuple(layer.scale), tuple(layer.translate), np.asarray(layer.data).tobytes())
            found[layer.name] = (*look, tuple(getattr(layer, "contrast_limits", ())))
    viewer = controller.viewer
    texts = {name: canvas.overlays.text(name) for name in (TITLE, SLICE)}
    return found | texts | {"slice": canvas.slice_mm, "range": viewer.dims.range[0], "zoom": viewer.scene.camera.zoom}


def another_case(factory: Callable[..., Explanation]) -> Case:
    """Other slices, other spacing, other place, other number of map cells' mm."""
    made = factory(n_labels=10, n_groups=9, seed=7, spacing_mm=0.9)
    made = replace(made, image_geometry=made.input_geometry.resampled((3.0, 6.0, 6.0)))
    hu = np.random.default_rng(3).integers(-1000, 400, made.image_geometry.shape).astype(np.int16)
    volume = Volume(hu, made.image_geometry, provenance=Provenance("memory", pixels_sha256="other"), case_id="other")
    return Case(volume, picture_of(volume), made)


@pytest.mark.parametrize("layout", Layout)
def test_an_exchanged_case_is_drawn_as_if_opened_afresh(
    case: Case, explanation_factory: Callable[..., Explanation], layout: Layout
) -> None:
    other = another_case(explanation_factory)
    assert other.explanation is not None
    label = other.explanation.labels[4]
    stepped, fresh = (Controller(ViewerModel(), RecordedPanels()) for _ in range(2))
    for controller in (stepped, fresh):
        controller.state.layout = layout
    stepped.open_case(case)
    layers = list(stepped.canvas.layers)
    stepped.exchange_case(other, label)
    fresh.open_case(other)
    fresh.select(label)
    assert drawn(stepped) == drawn(fresh)
    assert stepped.canvas.layers == layers
    assert stepped.panels.labels[-1] == label  # type: ignore[attr-defined]
    assert stepped.case is other
    for controller in (stepped, fresh):
        controller.disconnect()


def test_a_case_without_its_ct_takes_other_layers(
    controller: Controller, case: Case, explanation_factory: Callable[..., Explanation]
) -> None:
    other = another_case(explanation_factory)
    assert other.explanation is not None
    controller.exchange_case(case, other.explanation.labels[0])
    assert len(controller.canvas.cts) == 1
    controller.exchange_case(Case(explanation=other.explanation), other.explanation.labels[1])
    assert controller.canvas.cts == []
    assert controller.canvas.maps["hirescam"].visible
    controller.exchange_case(case, other.explanation.labels[1], signed=True)
    assert len(controller.canvas.cts) == 1
    assert controller.state.signed
    assert controller.state.label == other.explanation.labels[1]
