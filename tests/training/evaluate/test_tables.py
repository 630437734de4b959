"""Results as rows, files and a page: complete, n/a where they should be, self-contained and escaped."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from training.evaluate.bands import bands
from training.evaluate.baselines import UNIFORM, with_baselines
from training.evaluate.bootstrap import Resampling
from training.evaluate.classification import Classification, evaluate_predictions
from training.evaluate.figures import (
    bands_picture,
    bars_picture,
    calibration_picture,
    corners,
    forest_picture,
    roc_picture,
)
from training.evaluate.html import number, table
from training.evaluate.lesions import MEASURES, LesionCase, ball, lesion_tables
from training.evaluate.organ_iou import OrganCase, choose_thresholds, organ_curves
from training.evaluate.page import page
from training.evaluate.pairs import size_groups
from training.evaluate.rows import INTENDED_USE, to_csv
from training.evaluate.svg import compact
from training.evaluate.tables import (
    Evaluation,
    lesion_rows,
    organ_rows,
    pair_comparison_rows,
    prediction_comparison_rows,
    readable,
    summary_rows,
    with_display_name,
    write_evaluation,
)
from training.geometry import Geometry
from training.issues import warning

NASTY = '<script>alert("x")</script> & $x^2$'
LABELS = ("lung nodule", "cardiomegaly", NASTY)
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
"""Names of SVG's own vocabularies, which nothing opens."""
PLAN = Resampling(30, 1)
IMAGE = Geometry.canonical((12, 16, 16), (2.0, 2.0, 2.0))
CELLS = IMAGE.subgrid((1, 1.5, 1.5), (3, 4, 4), (4, 4, 4))


def _classification(seed: int = 0) -> Classification:
    rng = np.random.default_rng(seed)
    truth = np.tile(np.arange(30) % 2, (3, 1)).T
    truth[:, 1] = 0
    return evaluate_predictions((rng.random(truth.shape) + truth) / 2, truth, LABELS, PLAN)


def _organ_cases() -> list[OrganCase]:
    rng = np.random.default_rng(2)
    allowed = np.zeros((3, 4, 4, 4))
    allowed[..., :2] = 1
    maps = [with_baselines({"HiResCAM": rng.normal(size=(3, 4, 4, 4)) + allowed}, CELLS, IMAGE) for _ in range(6)]
    return [OrganCase(m, allowed, np.array([True, False, k > 2])) for k, m in enumerate(maps)]


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    curves = organ_curves(_organ_cases(), LABELS)
    thresholds = {source: choose_thresholds(found) for source, found in curves.items()}
    tables = {source: found.at(thresholds[source]) for source, found in curves.items()}
    about = {"model": "A", "variant": "paper", "placement": "stretch"}
    lesion = ball(IMAGE.to_world((6, 8, 8)), 10.0)
    cases = [
        LesionCase({"HiResCAM": case.maps["HiResCAM"]}, CELLS, IMAGE, {"lung nodule": [lesion]})
        for case in _organ_cases()
    ]
    first, second = _classification(), _classification(1)
    return Evaluation(
        title=f"Phantoms {NASTY}",
        classification={"A": first, NASTY: second},
        organ_iou=organ_rows(curves, thresholds, about, PLAN),
        lesions=lesion_rows(lesion_tables(cases, LABELS), LABELS, {"model": "A"}, resampling=PLAN),
        comparisons=prediction_comparison_rows(first, second, ("A", NASTY))
        + pair_comparison_rows(
            tables["HiResCAM"], tables[UNIFORM], LABELS, "OrganIoU", ("HiResCAM", UNIFORM), "mean", PLAN
        ),
        notes=(f"About {NASTY}",),
    )


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_summary_has_median_and_mean_of_every_metric() -> None:
    rows = summary_rows(_classification(), "A")
    assert [(row["metric"], row["average"]) for row in rows[:2]] == [("AUROC", "median"), ("AUROC", "mean")]
    assert len(rows) == 8
    assert {row["n_labels"] for row in rows} == {2}


def test_files_say_the_same_and_what_does_not_apply_is_null(evaluation: Evaluation, tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "out", evaluation)
    names = {"evaluation.json", "evaluation.html"} | {f"{name}.csv" for name in evaluation.tables()}
    assert {path.name for path in folder.iterdir()} == names
    assert set(evaluation.tables()) == {"summary", "labels", "calibration", "organ_iou", "lesions", "comparisons"}

    text = (folder / "evaluation.json").read_text()
    assert "NaN" not in text
    content = json.loads(text)
    assert content["models"]["A"]["not_applicable"] == ["cardiomegaly"]
    assert content["intended_use"] == INTENDED_USE
    absent = next(row for row in content["labels"] if row["label"] == "cardiomegaly")
    assert (absent["n_positive"], absent["auroc"], absent["brier"], absent["auroc_low"]) == (0, None, None, None)
    with (folder / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows[:3]] == list(LABELS)
    assert rows[1]["auroc"] == ""
    assert float(rows[0]["auroc"]) == pytest.approx(content["labels"][0]["auroc"])
    assert (folder / "evaluation.html").read_text() == page(evaluation)
    with pytest.raises(FileExistsError):
        write_evaluation(folder, evaluation)


def test_organ_rows_hold_every_source_group_and_threshold(evaluation: Evaluation) -> None:
    rows = [row for row in evaluation.organ_iou if row["measure"] == "OrganIoU"]
    assert list(dict.fromkeys(row["source"] for row in rows)) == ["HiResCAM", UNIFORM, "centre prior"]
    uniform = {row["group"]: row for row in rows if row["source"] == UNIFORM}
    assert uniform["all"]["value"] == pytest.approx(0.5)
    assert (uniform["all"]["n_pairs"], uniform["all"]["n_cases"]) == (9, 6)
    assert uniform["label: lung nodule"]["threshold"] == 0.004
    assert (uniform["label: cardiomegaly"]["value"], uniform["label: cardiomegaly"]["threshold"]) == (None, None)
    assert "organ: lung" in uniform


def test_sources_need_thresholds_of_their_own() -> None:
    curves = organ_curves(_organ_cases(), LABELS)
    with pytest.raises(ValueError, match="HiResCAM"):
        organ_rows(curves, {UNIFORM: np.full(3, 0.1)}, {}, PLAN)


def test_lesion_rows_use_medians_for_distances_and_means_for_shares(evaluation: Evaluation) -> None:
    assert {row["measure"]: row["average"] for row in evaluation.lesions} == {
        "error_mm": "median",
        "to_centre_mm": "median",
        "to_mask_mm": "median",
        "hit": "mean",
        "cell_hit": "mean",
        "mass_inside": "mean",
    }


def test_lesions_can_be_grouped_by_size_too() -> None:
    diameters = np.array([[8.0, np.nan, 40.0], [15.0, np.nan, np.nan]])
    tables = {"HiResCAM": {name: np.where(np.isnan(diameters), np.nan, 0.5) for name in MEASURES}}
    rows = lesion_rows(tables, LABELS, {"model": "A"}, size_groups(diameters), PLAN)
    counts = {row["group"]: row["n_pairs"] for row in rows if row["measure"] == "hit"}
    assert counts["all"] == 3
    assert [n for group, n in counts.items() if group.startswith("size: ")] == [1, 1, 1]


def test_the_page_is_well_formed_escaped_and_needs_nothing_else(evaluation: Evaluation) -> None:
    text = page(evaluation)
    found = _Page(text)
    assert found.open == []
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "link", "iframe", "object"}
    assert NASTY in "".join(found.texts)  # as text, not as markup
    for _, attributes in found.tags:
        assert "href" not in attributes
        assert attributes.get("src", "data:").startswith("data:")  # type: ignore[union-attr]
        assert not any(name.startswith("on") for name in attributes)
    assert set(re.findall(r"https?://[^ \"'>]*", text)) == NAMESPACES
    assert INTENDED_USE in text
    assert "n/a" in text
    assert ">nan" not in text.lower()


def test_the_pictures_are_svg_without_anything_from_elsewhere(evaluation: Evaluation) -> None:
    sources = [a["src"] for tag, a in _Page(page(evaluation)).tags if tag == "img"]
    assert len(sources) == 2 * 3 + 2 + 2
    for source in sources:
        assert str(source).startswith("data:image/svg+xml,")
        svg = unquote(str(source).split(",", 1)[1])
        root = ET.fromstring(svg)  # noqa: S314 - our own
        assert root.tag.endswith("svg")
        for element in root.iter():
            links = [value for name, value in element.attrib.items() if name.endswith("href")]
            assert all(link.startswith("#") for link in links)


def test_readers_see_words_where_files_have_keys(evaluation: Evaluation) -> None:
    placed = replace(
        evaluation,
        organ_iou=tuple({**row, "placement": "receptive_field"} for row in evaluation.organ_iou),
        comparisons=tuple({**row, "measure": "error_mm (receptive_field)"} for row in evaluation.comparisons),
    )
    found = _Page(page(placed))
    drawn = " ".join(unquote(str(a["src"])) for tag, a in found.tags if tag == "img")
    shown = " ".join(found.texts[1:]) + drawn
    for key in ("receptive_field", "error_mm", "mass_inside", "cell_hit", "to_centre_mm", "n_pairs", "brier"):
        assert not re.search(rf"\b{key}\b", shown), key
    for words in ("Brier score", "Expected calibration error", "the paper's definition, where the cells look"):
        assert words in shown
    assert "pointing error, mm (where the cells look)" in shown
    assert "A, soft mass, where the cells look" in shown


def test_thresholds_stand_beside_their_label_and_nowhere_else(evaluation: Evaluation) -> None:
    text = page(evaluation)
    main, _, rest = text[text.index("<h2>Organs") :].partition("<summary>Thresholds")
    assert "threshold</th>" not in main.lower()
    table = rest[: rest.index("</details>")]
    assert '<td class="text">lung nodule</td><td>' in table
    assert '<td class="text">cardiomegaly</td><td class="none">n/a</td>' in table


def test_the_page_says_where_thresholds_come_from_and_what_is_left_out(evaluation: Evaluation, tmp_path: Path) -> None:
    rows = ({"model": "A", "source": "HiResCAM", "label": "lung mass", "n_pairs": 3, "reason": "no threshold"},)
    told = warning("pairs-left-out", "OrganIoU of A is over 9 of 12 pairs", file="/home/miller/x")
    full = replace(evaluation, thresholds="Chosen on air.", left_out=rows, issues=(told,), made={"time": "now"})
    folder = write_evaluation(tmp_path / "out", full)
    text = (folder / "evaluation.html").read_text()
    for words in ("Chosen on air.", "OrganIoU of A is over 9 of 12 pairs", "no threshold", "How this was made"):
        assert words in text
    document = json.loads((folder / "evaluation.json").read_text())
    assert (document["thresholds"], document["time"]) == ("Chosen on air.", "now")
    assert [issue["code"] for issue in document["issues"]] == ["pairs-left-out"]
    assert "miller" not in json.dumps(document)
    assert document["organ_iou_left_out"][0]["n_pairs"] == 3
    assert (folder / "organ_iou_left_out.csv").is_file()


def test_the_picture_of_slice_scores_says_whose_and_what_for(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(size=(12, 5))
    found = bands("groundglass", scores, (np.arange(12) < 4).astype(np.int8), "mean")
    folder = write_evaluation(tmp_path / "out", Evaluation("A", bands=(found,), bands_of="my-run"))
    svg = (folder / "slice_scores.svg").read_text()
    counts = "4 cases with it, 8 without"
    for words in (INTENDED_USE, "Mean slice score", "model my-run", "ground-glass opacity", counts):
        assert words in svg
    assert "no interval of orange: fewer than 5 cases" in svg
    enough = bands("groundglass", scores, (np.arange(12) < 6).astype(np.int8), "mean")
    assert "no interval" not in bands_picture([enough])
    assert bands_picture([]).startswith("<svg")


def test_pictures_are_small_and_look_the_same() -> None:
    svg = (
        '<svg><g id="axes_1"><defs><path id="DejaVuSans-3" transform="scale(0.015625)"/>\n'
        '<path id="DejaVuSans-4f" d="M 1 2 \nL 3 4 \nL 5.123456 6 \nz\n" transform="scale(0.015625)"/></defs>\n'
        "<!-- a b -->\n"
        '<use xlink:href="#DejaVuSans-3" transform="translate(63.625 0)"/>\n'
        '<use xlink:href="#DejaVuSans-4f" transform="translate(95.40625 0)"/></g></svg>\n'
    )
    assert compact(svg) == (
        '<svg><g><defs><path id="g4f" d="M 1 2 L 3 4 5.12 6 z" transform="scale(0.015625)"/></defs>'
        '<!-- a b --><use xlink:href="#g4f" x="95.4"/></g></svg>\n'
    )


def test_a_label_has_one_line_whatever_measure_speaks_of_it() -> None:
    shared = {"first": "A", "second": "B", "low": 0.0, "high": 1.0, "share_below_zero": 0.5}
    rows = (
        {**shared, "measure": "AUROC", "group": "groundglass", "difference": 0.25},
        {**shared, "measure": "OrganIoU", "group": "label: groundglass", "difference": 0.75},
    )
    text = page(Evaluation("A", comparisons=rows))
    assert "groundglass" not in text
    line = text[text.index('<td class="text">ground-glass opacity</td>') :].partition("</tr>")[0]
    assert "0.250 (0.000 to 1.000)" in line
    assert "0.750 (0.000 to 1.000)" in line


def test_pictures_of_many_cases_stay_small() -> None:
    rng = np.random.default_rng(3)
    score = rng.normal(size=(6000, 3))
    truth = (score + rng.normal(size=score.shape) > 1.5).astype(float)
    found = evaluate_predictions(1 / (1 + np.exp(-score)), truth, LABELS, Resampling(0))
    assert len(found.roc["cardiomegaly"][0]) > 5000
    assert len(roc_picture(found)) < 50_000
    many = replace(found, reliability={f"label {k}": found.reliability["cardiomegaly"] for k in range(80)})
    assert len(calibration_picture(many)) < 150_000


def test_a_curve_keeps_its_corners_only() -> None:
    x = np.array([0.0, 0.0, 0.0, 0.2, 0.4, 0.4, 0.6, 1.0])
    y = np.array([0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.7, 1.1])
    kept = corners(x, y)
    np.testing.assert_array_equal(kept, [[0, 0, 0.4, 1.0], [0, 0.5, 0.5, 1.1]])
    np.testing.assert_array_equal(corners(x[:1], y[:1]), [[0], [0]])


def test_the_same_results_give_the_same_page(evaluation: Evaluation) -> None:
    assert page(evaluation) == page(evaluation)


def test_pictures_of_nothing_are_pictures() -> None:
    truth = np.zeros((4, 3))
    empty = evaluate_predictions(truth, truth, LABELS, PLAN)
    text = page(Evaluation("Nothing", {"A": empty}))
    assert text.count("<img") == 3
    for svg in (roc_picture(empty), forest_picture(empty), bars_picture([], "mm")):
        assert svg.startswith("<svg")


def test_cells_of_tables() -> None:
    html = table([{"a": 1, "value": 0.5, "low": 0.25, "high": 0.75}, {"a": None, "value": np.nan}], ("a", "value"))
    assert "<td>1</td><td>0.500 (0.250 to 0.750)</td>" in html
    assert '<td class="none">n/a</td><td class="none">n/a</td>' in html
    assert (number(3), number(0.1), number(12.345), number(123.456)) == ("3", "0.100", "12.3", "123.5")


def test_csv_keeps_formulas_as_text_and_numbers_as_numbers() -> None:
    text = to_csv([{"label": "=SUM(A1)", "value": -0.5}, {"label": "mass", "extra": np.float64(1.0), "value": np.nan}])
    assert text == "label,value,extra\n'=SUM(A1),-0.5,\nmass,,1.0\n"


def test_matplotlib_and_torch_are_loaded_only_when_needed() -> None:
    code = "import sys, training.evaluate.tables; print('matplotlib' in sys.modules, 'torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert out.stdout.split()[0] == "False"


def test_readers_see_what_labels_are_called_and_files_keep_the_name() -> None:
    row = {"label": "groundglass", "auroc": 0.5}
    assert with_display_name(row) == {"label": "groundglass", "display_name": "ground-glass opacity", "auroc": 0.5}
    group = {"source": "x", "group": "label: groundglass"}
    assert with_display_name(group)["display_name"] == readable(group)["group"] == "ground-glass opacity"
    assert with_display_name({"group": "region: lung"})["display_name"] == "region: lung"
    truth = np.tile(np.arange(12) % 2, (2, 1)).T
    found = evaluate_predictions(np.linspace(0, 1, 24).reshape(12, 2), truth, ("groundglass", "mass"), PLAN)
    shown = _Page(page(Evaluation("A", {"model": found}))).texts
    assert "ground-glass opacity" in shown
    assert not any("groundglass" in text for text in shown)
    assert "ground-glass opacity (6)" in re.sub(r"<!--|-->", "", forest_picture(found))


def test_bars_tell_maps_and_models_apart_and_a_bar_of_zero_is_written() -> None:
    bar = {"panel": "P", "bar": "b", "low": None, "high": None}
    one, two, none = (
        {**bar, "model": model, "source": source, "value": value}
        for model, source, value in (("A", "HiResCAM", 0.5), ("B", "Grad-CAM", 0.25), ("A", "uniform map", 0.0))
    )
    svg = bars_picture([one, two, none], "OrganIoU")
    assert ("#0072b2" in svg, "#009e73" in svg, "opacity: 0.5" in svg) == (True, True, True)
    assert "<!--  0 -->" in svg
    assert "opacity: 0.5" not in bars_picture([one, none], "OrganIoU")
    assert "<!--  0 -->" not in bars_picture([one, two], "OrganIoU")
