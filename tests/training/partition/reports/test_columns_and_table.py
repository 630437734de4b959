"""The RAD-ChestCT columns, and labelling a CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.issues import Cancelled, InputError
from training.partition.reports import label_report, load_vocabulary
from training.partition.reports.columns import column_names, columns, labels_from_columns
from training.partition.reports.ct_rate import ct_rate_labels
from training.partition.reports.table import LabelledRow, LabelSettings, label_rows, write_labels


def _columns(text: str) -> set[str]:
    return set(columns(label_report(text), load_vocabulary()))


def test_columns_are_spelled_as_rad_chestct_spells_them() -> None:
    names = column_names(load_vocabulary())
    assert len(names) == 83 * 52
    assert {"nodule*right_upper", "pleural_effusion*left_lung", "calcification*aorta"} <= set(names)


def test_every_abnormality_goes_with_every_place_of_its_clause() -> None:
    found = _columns("There is a nodule in the right upper lobe.")
    assert {"nodule*right_upper", "nodule*right_lung", "nodule*lung", "nodule*right"} <= found
    assert not any("left" in name for name in found)


def test_impossible_pairs_are_dropped_and_placeless_ones_kept() -> None:
    assert _columns("atherosclerosis in the right lung") == {"atherosclerosis*right"}
    assert _columns("a mass is seen") == {"mass*other_location"}


def test_columns_lead_back_to_the_labels() -> None:
    text = "Nodule in the right upper lobe. Calcifications in the aorta. Pericardial effusion."
    values = labels_from_columns(dict.fromkeys(_columns(text), 1))
    assert {name for name, value in values.items() if value} == {
        "lung nodule",
        "great vessel calcification",
        "pericardial effusion",
    }


def test_a_generic_finding_needs_a_side_in_the_columns() -> None:
    assert labels_from_columns({"nodule*lung": 1})["lung nodule"] == 0
    assert labels_from_columns({"nodule*left_lung": 1})["lung nodule"] == 1
    assert labels_from_columns({"emphysema*lung": 1})["emphysema"] == 1


def _write(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def _read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def test_reports_are_written_with_evidence(tmp_path: Path) -> None:
    settings = LabelSettings()
    rows = label_rows([("a", "left pneumonia"), ("b", "normal")], settings)
    labels, places, evidence = write_labels(rows, tmp_path / "out.csv", settings)
    assert [(r["case"], r["pneumonia"]) for r in _read(labels)] == [("a", "1"), ("b", "0")]
    assert _read(places)[0]["pneumonia*left_lung"] == "1"
    assert _read(evidence)[0]["words"] == "pneumonia"


@pytest.mark.parametrize("length_mm", [-5.0, 0.0, float("nan")])
def test_impossible_lymph_node_sizes_are_refused(length_mm: float) -> None:
    with pytest.raises(InputError, match="lymph node"):
        LabelSettings(lymph_node_mm=length_mm)


def test_what_breaks_on_the_way_leaves_nothing_behind(tmp_path: Path) -> None:
    def stopped() -> Iterator[LabelledRow]:
        yield from label_rows([("a", "x")], LabelSettings())
        raise Cancelled

    with pytest.raises(Cancelled):
        write_labels(stopped(), tmp_path / "out.csv", LabelSettings())
    assert list(tmp_path.iterdir()) == []


def test_real_reports_reach_the_target(shared_data: Path) -> None:
    path = shared_data / "reports" / "ct-rate-reports-train.csv"
    rows = _read(path)
    names = list(rows[0])[2:]
    predicted = [ct_rate_labels(label_report(r["report_text"]).findings) for r in rows]
    scores = []
    for name in names:
        both = [(row[name] == "1", found[name]) for row, found in zip(rows, predicted, strict=True)]
        hits, wrong = sum(t and p for t, p in both), sum(t != p for t, p in both)
        scores.append(2 * hits / (2 * hits + wrong))
    assert len(scores) == 18
    assert sum(scores) / 18 >= 0.92
