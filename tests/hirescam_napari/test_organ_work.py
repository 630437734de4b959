"""Organs in the viewer: the work, the layers, the budget; on a small phantom and a synthetic explanation of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer, Vectors
from pytestqt.qtbot import QtBot

from hirescam_napari._case import Case
from hirescam_napari._controller import Controller
from hirescam_napari._layers import picture_of
from hirescam_napari._organ_layers import ORGANS_NAME, REGION_NAME
from hirescam_napari._organ_work import FoundOrgans, OrganFinder, is_complete, organ_work
from hirescam_napari._resolve import HEURISTIC_NOTICE, NO_MAPS, NOTICES, resolve
from hirescam_napari._state import Layout, ViewState
from tests.hirescam_napari.test_controller import RecordedPanels
from training.cohort.phantom import Phantom, make_phantom
from training.explain.placement import PLACEMENTS
from training.explain.result import Explanation
from training.geometry import CellLayout, Geometry, ReceptiveField
from training.issues import Cancelled, warning
from training.partition.organs import QualityControl
from training.partition.reports.labels import label_report

EFFUSION, NODULE, HEART = "pleural effusion", "lung nodule", "cardiomegaly"


class Panels(RecordedPanels):
    organs: int = 0

    def show_organs(self, case: Case) -> None:
        self.organs += 1


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(7, "small", [NODULE])


@pytest.fixture
def case(phantom: Phantom, explanation: Explanation) -> Case:
    """The phantom with maps of 8 x 8 cells over all of it."""
    n = [size // 8 for size in phantom.volume.geometry.shape]
    rng = np.random.default_rng(0)
    fields = tuple(ReceptiveField(24, 7.0, 6.5) for _ in range(3))
    z = rng.random((n[0], 4, n[1], n[2])).astype(np.float32)
    weights = rng.normal(size=(3, 4, n[1], n[2])).astype(np.float32)
    bias = np.array([-1.0, 0.5, 2.0], dtype=np.float32)
    made = replace(
        explanation,
        labels=(EFFUSION, NODULE, HEART),
        z=z,
        weights=weights,
        bias=bias,
        scores=np.einsum("hfij,mfij->m", z, weights) / n[0] + bias,
        input_geometry=phantom.volume.geometry,
        image_geometry=phantom.volume.geometry,
        cells=CellLayout((n[0], n[1], n[2]), fields),  # type: ignore[arg-type]
    )
    return Case(phantom.volume, picture_of(phantom.volume), made)


@pytest.fixture(scope="module")
def organs(phantom: Phantom) -> FoundOrgans:
    return organ_work(Case(phantom.volume, picture_of(phantom.volume)))(_silent, lambda: False)  # type: ignore[return-value]


@pytest.fixture
def found(case: Case, organs: FoundOrgans) -> FoundOrgans:
    return organ_work(replace(case, organs=organs.organs, drawn_organs=organs.drawn))(_silent, lambda: False)  # type: ignore[return-value]


@pytest.fixture
def panels() -> Panels:
    return Panels()


@pytest.fixture
def controller(panels: Panels, case: Case) -> Iterator[Controller]:
    made = Controller(ViewerModel(), panels)
    made.open_case(case)
    yield made
    made.disconnect()


@pytest.fixture
def with_organs(controller: Controller, found: FoundOrgans) -> Controller:
    controller.change(show_organs=True, show_region=True)
    give(controller, found)
    return controller


def give(controller: Controller, found: FoundOrgans) -> bool:
    return controller.show_organs(found.organs, found.drawn, found.cells, controller.case.explanation)


def _silent(_done: int, _total: int, _stage: str) -> None:
    pass


def visible(controller: Controller, kind: type[Layer]) -> list[str]:
    return [layer.name for layer in controller.viewer.layers if layer.visible and isinstance(layer, kind)]


def test_the_work_finds_organs_first_and_their_cells_once_there_are_maps(
    organs: FoundOrgans, found: FoundOrgans
) -> None:
    assert organs.organs.qc.passed
    assert organs.cells == {}
    assert organs.drawn is organs.organs.labels
    assert found.organs is organs.organs
    assert set(found.cells) == {"receptive_field", "stretch"}


def test_an_oblique_ct_gets_organs_on_the_grid_it_is_drawn_on(phantom: Phantom, organs: FoundOrgans) -> None:
    turned = np.array(phantom.volume.geometry.affine)
    angle = np.deg2rad(10)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned[:3] = rotation @ turned[:3]
    geometry = Geometry(phantom.volume.geometry.shape, turned)
    volume = replace(phantom.volume, geometry=geometry)
    case = Case(volume, picture_of(volume), organs=replace(organs.organs, geometry=geometry))
    drawn = organ_work(case)(_silent, lambda: False).drawn  # type: ignore[attr-defined]
    assert case.picture is not None
    assert drawn.shape == case.picture.geometry.shape
    ml = (drawn == 1).sum() * case.picture.geometry.voxel_mm3
    assert ml == pytest.approx((organs.organs.labels == 1).sum() * geometry.voxel_mm3, rel=0.02)


def test_the_work_stops_when_told_to(case: Case) -> None:
    with pytest.raises(Cancelled):
        organ_work(case)(_silent, lambda: True)


def test_organs_are_contours_that_share_the_array(with_organs: Controller, found: FoundOrgans) -> None:
    layer = with_organs.viewer.layers[ORGANS_NAME]
    assert isinstance(layer, Labels)
    assert layer.data is found.drawn
    assert layer.contour > 0
    assert with_organs.canvas.overlays.text("hirescam_legend_right lung") == "right lung"
    with_organs.change(fill_organs=True, organ_opacity=0.3)
    assert (layer.contour, layer.opacity) == (0, 0.3)
    with_organs.change(show_organs=False)
    assert visible(with_organs, Labels) == []
    assert with_organs.canvas.overlays.text("hirescam_legend_right lung") == ""


def test_the_region_follows_the_abnormality_and_the_placement(with_organs: Controller) -> None:
    lines = with_organs.viewer.layers[REGION_NAME]
    assert isinstance(lines, Vectors)
    with_organs.select(EFFUSION)
    lungs = lines.data
    with_organs.select(NODULE)
    assert lines.data is lungs
    with_organs.select(HEART)
    heart = lines.data
    assert len(heart) != len(lungs)
    with_organs.state.toggle_placement()
    assert not np.array_equal(lines.data, heart)
    with_organs.change(show_region=False)
    assert visible(with_organs, Vectors) == []


def test_lines_run_around_the_allowed_cells_in_mm(with_organs: Controller) -> None:
    with_organs.select(HEART)
    lines, case = with_organs.viewer.layers[REGION_NAME], with_organs.case
    allowed, explanation = case.allowed(HEART), case.explanation
    assert allowed is not None
    assert explanation is not None
    group = int(lines.data[0, 0, 0])
    first = np.argwhere(allowed[group])[:, 0].min()
    step = explanation.geometry().spacing_mm[1]
    edge = min(float(line[0, 1]) for line in lines.data if line[0, 0] == group)
    centre = float(explanation.geometry().to_world((group, first, 0))[1])
    assert edge == pytest.approx(centre - step / 2, abs=1.2)
    assert lines.scale[0] == pytest.approx(explanation.geometry().spacing_mm[0])


def test_side_by_side_shows_both_on_both_canvases(with_organs: Controller) -> None:
    with_organs.state.layout = Layout.SIDE_BY_SIDE
    assert len(visible(with_organs, Labels)) == len(visible(with_organs, Vectors)) == 2
    grid, layers = with_organs.viewer.canvas.grid, with_organs.viewer.layers
    cells = [[layers[i].name for i in grid.contents_at((0, c), layers)] for c in range(2)]
    assert cells[0] == ["CT", ORGANS_NAME, "HiResCAM", REGION_NAME]
    assert cells[1] == ["CT (2)", f"{ORGANS_NAME} (2)", "Grad-CAM", f"{REGION_NAME} (2)"]


def test_organs_that_come_too_late_are_dropped(controller: Controller, found: FoundOrgans, case: Case) -> None:
    ticket = controller.begin("organs")
    controller.open_case(case, controller.begin("load"))
    assert not controller.show_organs(found.organs, found.drawn, {}, None, ticket)
    assert controller.case.organs is None


def test_cells_of_another_result_are_left_out(controller: Controller, found: FoundOrgans) -> None:
    assert controller.show_organs(found.organs, found.drawn, found.cells, None)
    assert controller.case.cells == {}
    assert not is_complete(controller.case, drawn=False)


def test_the_budget_adds_up_to_the_score(with_organs: Controller) -> None:
    explanation = with_organs.case.explanation
    assert explanation is not None
    for i, label in enumerate(explanation.labels):
        for placement in PLACEMENTS:
            budget = with_organs.case.budget(label, placement)
            assert budget is not None
            assert budget.score == pytest.approx(explanation.scores[i], abs=1e-5)
            assert min(budget.positive) >= 0 >= max(budget.negative)


def test_a_report_narrows_the_region_to_its_side(with_organs: Controller, panels: Panels) -> None:
    both = with_organs.case.allowed(EFFUSION)
    with_organs.attach_report(label_report("Small right pleural effusion."))
    right = with_organs.case.allowed(EFFUSION)
    assert both is not None
    assert right is not None
    assert 0 < right.sum() < both.sum()
    assert panels.organs == 2
    with_organs.attach_report(None)
    assert with_organs.case.report_text is None


def test_a_heuristic_mask_and_a_cropped_ct_are_said_on_the_canvas(case: Case, found: FoundOrgans) -> None:
    assert case.volume is not None
    failed = replace(found.organs, qc=QualityControl(False, heuristic="paper"))
    noted = replace(case, volume=case.volume.with_issues(warning("lungs-at-end", "x"), warning("not-a-chest", "y")))
    shown = ViewState(label=NODULE, show_organs=True)
    plan = resolve(shown, replace(noted, organs=failed, drawn_organs=found.drawn))
    assert plan.notices == (NOTICES["lungs-at-end"], NOTICES["not-a-chest"], HEURISTIC_NOTICE)
    hidden = resolve(ViewState(label=NODULE), replace(noted, organs=failed, drawn_organs=found.drawn))
    assert HEURISTIC_NOTICE not in hidden.notices


def test_a_model_without_maps_keeps_table_and_slice(with_organs: Controller) -> None:
    explanation = with_organs.case.explanation
    assert explanation is not None
    blind = replace(explanation, model=replace(explanation.model, has_maps=False))
    position = with_organs.canvas.slice_mm
    with_organs.show_explanation(blind)
    with_organs.select(HEART)
    with_organs.state.layout = Layout.SIDE_BY_SIDE
    with_organs.go_to_top_slice()
    with_organs.hover((0.0, 0.0, 0.0))
    assert with_organs.canvas.slice_mm == position
    assert [layer.visible for layer in with_organs.canvas.maps.values()] == [False, False]
    assert not with_organs.viewer.canvas.grid.enabled
    assert with_organs.canvas.overlays.text("hirescam_scale").replace("\n", " ") == NO_MAPS
    assert with_organs.case.budget(HEART) is None
    assert is_complete(with_organs.case, drawn=True)
    with_organs.show_explanation(explanation)
    assert with_organs.viewer.canvas.grid.enabled
    assert [layer.visible for layer in with_organs.canvas.maps.values()] == [True, True]


def test_the_finder_works_only_when_something_is_shown(qtbot: QtBot, controller: Controller) -> None:
    idle = OrganFinder(controller, lambda: False)
    idle.update()
    assert idle.job is None
    finder = OrganFinder(controller, lambda: True)
    with qtbot.waitSignal(finder.changed, timeout=60_000):
        finder.update()
    qtbot.waitUntil(lambda: not finder.running, timeout=60_000)
    assert controller.case.organs is not None
    assert is_complete(controller.case, drawn=True)


def test_cancelled_work_starts_again_only_when_asked(qtbot: QtBot, controller: Controller) -> None:
    finder = OrganFinder(controller, lambda: True)
    running = []
    for step in (finder.update, finder.cancel, finder.update, finder.find, finder.cancel):
        step()
        running.append(finder.running)
    assert running == [True, False, False, True, False]
    assert controller.case.organs is None
    finder.wait(60)
    qtbot.wait(10)


def test_hidden_layers_count_in_the_grid_too(with_organs: Controller) -> None:
    assert len(with_organs.canvas.organs.organs) == len(with_organs.canvas.organs.regions) == 1
    with_organs.change(show_region=False, show_organs=False)
    with_organs.state.layout = Layout.SIDE_BY_SIDE
    grid, layers = with_organs.viewer.canvas.grid, with_organs.viewer.layers
    cells = [[layers[i].name for i in grid.contents_at((0, c), layers)] for c in range(2)]
    assert cells == [["CT", "HiResCAM"], ["CT (2)", "Grad-CAM"]]


def test_in_three_dimensions_organs_are_filled(with_organs: Controller) -> None:
    layer = with_organs.viewer.layers[ORGANS_NAME]
    with pytest.warns(UserWarning, match="Contours"):  # napari's own, said once
        with_organs.viewer.dims.ndisplay = 3
    contours = [layer.contour]
    with_organs.viewer.dims.ndisplay = 2
    contours.append(layer.contour)
    assert contours == [0, 1]
