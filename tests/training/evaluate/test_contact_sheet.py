"""Contact sheets: each case's own top slice, all about one point, on one scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.stores import make_store
from training.cohort.results import CohortStore, open_store
from training.evaluate.case_figures import FORMATS
from training.evaluate.compare import SheetEntry, sheet_entries
from training.evaluate.contact_sheet import draw_sheet, make_tile, read_tiles, shared_limit, sheet_words
from training.issues import Cancelled
from training.picture import Picture, to_display


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
    assert "one scale for all cases" in sheet_words(tiles, "hirescam")


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
    first, second = (draw_sheet(tiles, label, "demo", kind, columns=3, dpi=50) for _ in range(2))  # type: ignore[arg-type]
    assert first == second
    assert len(first) > 1000
    with pytest.raises(ValueError, match="at least one case"):
        draw_sheet([], label, "demo")


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
