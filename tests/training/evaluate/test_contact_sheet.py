"""Contact sheets: each case's own top slice, all about one point, on one scale."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.stores import make_store
from training.cohort.results import CohortStore, open_store
from training.evaluate.case_figures import FORMATS, CaseFigure
from training.evaluate.compare import SheetEntry, sheet_entries
from training.evaluate.contact_sheet import draw_sheet
from training.evaluate.figure_marks import plane_extent
from training.evaluate.sheet_file import write_sheet
from training.evaluate.sheet_tiles import alike, make_tile, read_tiles, shared_limit, sheet_words
from training.geometry import Geometry
from training.issues import Cancelled
from training.picture import Picture, to_display
from training.words import signed_share


@pytest.fixture
def store(tmp_path: Path) -> CohortStore:
    return open_store(make_store(tmp_path / "store"))


def test_tiles_hold_each_case_s_top_slice(store: CohortStore) -> None:
    label = store.labels[1]
    entries = sheet_entries(store, label, most=3)
    tiles = read_tiles(store, label, entries)
    for tile, entry in zip(tiles, entries, strict=True):
        explanation = store.explanation(entry.case)
        assert np.array_equal(tile.values[0], explanation.map(label)[explanation.top_slice(label)])
        assert not tile.has_ct
        assert entry.case in tile.name
        assert tile.outcome in ("TP", "FP", "FN", "TN")
    assert shared_limit(tiles) == max(float(tile.values.max()) for tile in tiles)
    assert "one scale for all" in sheet_words(tiles, "hirescam")


def test_ct_and_map_lie_about_the_same_point(store: CohortStore) -> None:
    label, case = store.labels[0], store.cases[0]
    explanation = store.explanation(case)
    image = explanation.image_geometry
    hu = np.arange(np.prod(image.shape), dtype=np.int16).reshape(image.shape)
    group = explanation.top_slice(label)
    tile = make_tile(explanation, label, SheetEntry(case, 0.7, group, 0.7, 0), Picture(hu, image))
    assert tile.outcome == "FP"
    assert np.array_equal(tile.picture.hu[0], hu[explanation.image_slice(group)])
    before = to_display(image.to_world((0, 5, 7)) - explanation.geometry().to_world((0, 1, 2)))
    after = to_display(tile.picture.geometry.to_world((0, 5, 7)) - tile.grid.to_world((0, 1, 2)))
    assert after[1:] == pytest.approx(before[1:])
    blank = make_tile(explanation, label, SheetEntry(case, 0.7, group, 0.7))
    assert blank.outcome == ""
    assert blank.grid.allclose(tile.grid)


def test_without_its_ct_a_map_stands_where_it_stands_on_it(store: CohortStore) -> None:
    label, case = store.labels[0], store.cases[0]
    explanation = store.explanation(case)
    image = explanation.image_geometry
    entry = SheetEntry(case, 0.7, explanation.top_slice(label), 0.7)
    over = make_tile(explanation, label, entry, Picture(np.zeros(image.shape, np.int16), image))
    alone = make_tile(explanation, label, entry)
    assert plane_extent(alone.picture.geometry) == pytest.approx(plane_extent(over.picture.geometry))
    assert plane_extent(alone.grid) == pytest.approx(plane_extent(over.grid))
    figures = [CaseFigure(explanation, tile_picture, label) for tile_picture in (None, Picture(_blank(image), image))]
    assert figures[0].map_axes[0].get_xlim() == pytest.approx(figures[1].map_axes[0].get_xlim())
    assert figures[0].map_axes[0].get_ylim() == pytest.approx(figures[1].map_axes[0].get_ylim())


def _blank(image: Geometry) -> npt.NDArray[np.int16]:
    return np.full(image.shape, -3024, np.int16)


def test_without_its_ct_organs_are_outlined(store: CohortStore) -> None:
    label = store.labels[0]
    tiles = read_tiles(store, label, sheet_entries(store, label, most=2))
    cells = store.organ_cells(tiles[0].entry.case)
    assert cells is not None
    group = tiles[0].entry.group
    assert np.array_equal(tiles[0].outlines[0], cells.body[group] >= 0.5)
    assert np.array_equal(tiles[0].outlines[1], cells.centres[1][group] > 0)
    without = [replace(tile, outlines=()) for tile in tiles]
    assert "outlines: body, lungs and mediastinum" in _words(draw_sheet(tiles, label, store.model, "svg"))
    assert "outlines" not in _words(draw_sheet(without, label, store.model, "svg"))
    assert draw_sheet(tiles, label, store.model) != draw_sheet(without, label, store.model)


def test_a_sheet_says_from_which_probability_and_in_one_number_format(store: CohortStore) -> None:
    label, case = store.labels[0], store.cases[0]
    explanation = store.explanation(case)
    pairs = ((0.502, 0), (0.498, 0), (0.03, 0))
    tiles = alike([make_tile(explanation, label, SheetEntry(case, p, 0, p, truth)) for p, truth in pairs])
    assert [tile.name.split(" · ", 1)[1] for tile in tiles] == ["50.2 % · FP", "49.8 % · TN", "3.0 % · TN"]
    said = _words(draw_sheet(tiles, label, store.model, "svg"))
    assert "Predicted: a probability of 50.0 % or more. FP: predicted, not present; TN:" in said


def _words(svg: bytes) -> str:
    return re.sub(r"\s+", " ", " ".join(re.findall(r"<!-- (.*?) -->", svg.decode())))


def test_reading_can_be_watched_and_cancelled(store: CohortStore) -> None:
    entries = sheet_entries(store, store.labels[0], most=2)
    seen: list[tuple[int, int, str]] = []
    read_tiles(store, store.labels[0], entries, progress=lambda *step: seen.append(step))
    assert seen == [(0, 2, "reading cases"), (1, 2, "reading cases")]
    with pytest.raises(Cancelled):
        read_tiles(store, store.labels[0], entries, cancelled=lambda: True)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_sheet_is_drawn_the_same_every_time(store: CohortStore, kind: str) -> None:
    label = store.labels[0]
    tiles = read_tiles(store, label, sheet_entries(store, label, most=5))
    first, second = (draw_sheet(tiles, label, store.model, kind, columns=3, dpi=50) for _ in range(2))  # type: ignore[arg-type]
    assert first == second
    assert len(first) > 1000
    with pytest.raises(ValueError, match="at least one case"):
        draw_sheet([], label, store.model)


def test_a_sheet_says_slices_order_window_model_and_unit(store: CohortStore) -> None:
    label, case = store.labels[0], store.cases[0]
    image = store.explanation(case).image_geometry
    picture = Picture(np.zeros(image.shape, np.int16), image)
    entries = sheet_entries(store, label, "disagreement", most=2)
    tiles = [
        make_tile(store.explanation(entry.case), label, entry, picture if n == 0 else None)
        for n, entry in enumerate(entries)
    ]
    assert tiles[0].where == f"slice {store.explanation(case).image_slice(entries[0].group) + 1} of {image.shape[0]}"
    assert tiles[1].where.startswith("slice group ")
    svg = draw_sheet(tiles, label, store.model, "svg", order="disagreement", window_hu=(-1350.0, 150.0)).decode()
    words = re.sub(r"\s+", " ", " ".join(re.findall(r"<!-- (.*?) -->", svg)))
    for said in (
        tiles[0].where,
        tiles[1].where,
        f"SHA-256 {store.model.sha256[:12]}",
        "highest disagreement D first",
        f"D {signed_share(entries[0].value)}",
        "−1350 to 150 HU",
        "score units a cell",
        "drawn at 60 % over the CT",
    ):
        assert said in words


def test_the_report_of_a_sheet_says_its_order_and_its_scale(store: CohortStore, tmp_path: Path) -> None:
    label = store.labels[1]
    tiles = read_tiles(store, label, sheet_entries(store, label, "disagreement", most=3))
    report = write_sheet(tmp_path / "sheet.png", store, label, tiles, order="disagreement", pairs="all")
    assert (report["request"]["order"], report["request"]["pairs"]) == ("disagreement", "all")
    assert report["scale"] == {"end": shared_limit(tiles), "unit": "score units", "shared_by": "all cases"}
    assert [case["where"] for case in report["cases"]] == [tile.where for tile in tiles]


def test_a_sheet_can_be_of_cases_with_the_abnormality_only(tmp_path: Path) -> None:
    store = open_store(make_store(tmp_path / "store"))
    label = store.labels[0]
    truth = store.truth
    assert truth is not None
    present = {case for case, known in zip(store.cases, truth[:, 0], strict=True) if known == 1}
    assert 0 < len(present) < len(store.cases)
    for order in ("probability", "disagreement"):
        found = sheet_entries(store, label, order, len(store.cases), pairs="present")
        assert {entry.case for entry in found} == present
    probabilities = [entry.probability for entry in sheet_entries(store, label, "probability", 12, pairs="present")]
    assert probabilities == sorted(probabilities, reverse=True)
