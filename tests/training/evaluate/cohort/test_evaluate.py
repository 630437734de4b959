"""A store evaluated: the numbers are those of the functions, baselines and n/a included, and files are complete."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.cohorts import write_model, write_phantoms
from tests.stores import make_store
from training.cli import create_app
from training.cohort.batch import BatchSettings, open_for_filling, prepare_batch, run_batch
from training.cohort.results import CohortStore, open_store
from training.evaluate.baselines import CENTRE, PRIOR, RANDOM_LAST_LAYER, RANDOM_WEIGHTS, UNIFORM
from training.evaluate.bootstrap import Resampling
from training.evaluate.classification import evaluate_predictions
from training.evaluate.cohort import EvaluateSettings, evaluate_stores
from training.evaluate.cohort.subject import read_truth
from training.evaluate.lesions import ball, measure_map
from training.evaluate.organ_iou import THRESHOLDS, organ_iou
from training.evaluate.page import page
from training.evaluate.tables import Evaluation
from training.geometry import Geometry
from training.io.write import write_nifti
from training.issues import InputError
from training.labels import display_name

PLAN = Resampling(40, 3)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores of the same cases and truth: a model, a random one of the same cells, another one."""
    made = tmp_path_factory.mktemp("stores")
    one = make_store(made / "a", n_cases=16, n_labels=4)
    other = make_store(made / "b", n_cases=16, n_labels=4, seed=100)
    truth = [("case", *open_store(one).labels)]
    known = open_store(one).truth
    assert known is not None
    known = known.copy()
    known[:, 3] = 0
    truth += [(case, *row) for case, row in zip(open_store(one).cases, known.tolist(), strict=True)]
    with (made / "truth.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(truth)
    return {"a": one, "b": other, "truth": made / "truth.csv"}


@pytest.fixture(scope="module")
def evaluation(stores: dict[str, Path]) -> Evaluation:
    settings = EvaluateSettings(stores["b"], stores["b"], stores["truth"], resampling=PLAN)
    return evaluate_stores(stores["a"], settings)


def cases_in(store: CohortStore, split: str = "test") -> list[str]:
    return [case for case, own in zip(store.cases, store.splits, strict=True) if own == split]


def name_of(store: CohortStore) -> str:
    """Return what a model is called that is compared with one of the same name."""
    return f"{store.model.name} in {store.path.name}"


def row_of(rows: tuple[dict[str, object], ...], **wanted: object) -> dict[str, object]:
    found = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def test_predictions_are_judged_on_the_test_cases(evaluation: Evaluation, stores: dict[str, Path]) -> None:
    store = open_store(stores["a"])
    rows = [store.position(case) for case in cases_in(store)]
    assert store.truth is not None
    truth = store.truth[rows].astype(float)
    truth[:, 3] = 0
    expected = evaluate_predictions(store.probabilities[rows], truth, store.labels, PLAN)
    found = evaluation.classification[name_of(store)]
    assert found.n_cases == 8
    assert found.not_applicable == (store.labels[3],)
    for metric in ("auroc", "brier"):
        assert found.per_label(metric) == expected.per_label(metric)
    assert "Judged on 8 cases (split test)." in evaluation.notes


@pytest.mark.parametrize(("variant", "placement"), [("paper", "receptive_field"), ("authors", "stretch")])
def test_organ_iou_reuses_the_thresholds_of_validation(
    evaluation: Evaluation, stores: dict[str, Path], variant: str, placement: str
) -> None:
    store = open_store(stores["a"])
    assert store.truth is not None
    values, chosen = [], []
    for m, label in enumerate(store.labels[:3]):

        def curve(case: str, label: str = label) -> list[float]:
            allowed = store.allowed(case, label, placement)
            assert allowed is not None
            return [organ_iou(store.explanation(case).map(label), allowed, t, variant) for t in THRESHOLDS]

        having = {
            s: [c for c in cases_in(store, s) if store.truth[store.position(c), m] == 1] for s in ("valid", "test")
        }
        best = int(np.argmax(np.mean([curve(case) for case in having["valid"]], axis=0)))
        chosen.append(THRESHOLDS[best])
        values += [curve(case)[best] for case in having["test"]]
    about = {"model": name_of(store), "variant": variant, "placement": placement, "measure": "OrganIoU"}
    rows = [row for row in evaluation.organ_iou if row["model"] == name_of(store)]
    found = row_of(tuple(rows), **about, source="HiResCAM", group="all")
    assert found["value"] == pytest.approx(np.mean(values))
    assert found["n_pairs"] == len(values)
    for label, threshold in zip(store.labels, chosen, strict=False):
        assert row_of(tuple(rows), **about, source="HiResCAM", group=f"label: {label}")["threshold"] == threshold
    empty = row_of(tuple(rows), **about, source="HiResCAM", group=f"label: {store.labels[3]}")
    assert empty["value"] is None


def test_baselines_stand_beside_every_number(evaluation: Evaluation, stores: dict[str, Path]) -> None:
    sources = {"HiResCAM", "Grad-CAM", UNIFORM, CENTRE, RANDOM_WEIGHTS, RANDOM_LAST_LAYER}
    for variant in ("paper", "authors"):
        for placement in ("receptive_field", "stretch", "stretch, authors' regions"):
            found = {
                row["source"]
                for row in evaluation.organ_iou
                if (row["variant"], row["placement"], row["group"]) == (variant, placement, "all")
            }
            assert found == sources
    store = open_store(stores["a"])
    assert store.truth is not None
    positive = store.truth[:, :3] == 1
    shares = [
        float(np.mean(store.allowed(case, store.labels[m])))
        for case in cases_in(store)
        for m in np.flatnonzero(positive[store.position(case)])
    ]
    uniform = row_of(
        tuple(row for row in evaluation.organ_iou if row["model"] == name_of(store)),
        source=UNIFORM, variant="paper", placement="receptive_field", measure="OrganIoU", group="all",
    )  # fmt: skip
    assert uniform["value"] == pytest.approx(np.mean(shares))


def test_models_are_compared_case_by_case(evaluation: Evaluation, stores: dict[str, Path]) -> None:
    names = list(evaluation.classification)
    assert names == [name_of(open_store(stores[key])) for key in ("a", "b")]
    first, second = (evaluation.classification[name] for name in names)
    found = row_of(evaluation.comparisons, first=names[0], second=names[1], measure="AUROC", group="mean over labels")
    difference = (first.over_labels("auroc", "mean").value or 0) - (second.over_labels("auroc", "mean").value or 0)
    assert found["difference"] == pytest.approx(difference)
    values = [
        row_of(
            evaluation.organ_iou,
            model=name, source="Grad-CAM", variant="paper", placement="stretch", measure="OrganIoU", group="all",
        )["value"]
        for name in names
    ]  # fmt: skip
    found = row_of(
        evaluation.comparisons,
        first=names[0], second=names[1], measure="OrganIoU of Grad-CAM (paper, stretch)", group="all",
    )  # fmt: skip
    assert found["difference"] == pytest.approx(values[0] - values[1])  # type: ignore[operator]


def test_the_diagonals_of_table_2_and_soft_mass_are_compared_unasked(evaluation: Evaluation) -> None:
    a, b = evaluation.classification
    for first, second in ((f"{a}: HiResCAM", f"{b}: Grad-CAM"), (f"{a}: Grad-CAM", f"{b}: HiResCAM")):
        for measure in ("OrganIoU (paper, receptive_field)", "OrganIoU (authors, stretch)", "soft mass (stretch)"):
            row = row_of(evaluation.comparisons, first=first, second=second, measure=measure, group="all")
            name, _, where = measure.removesuffix(")").partition(" (")
            variant, _, placement = where.rpartition(", ")
            values = [
                row_of(
                    evaluation.organ_iou,
                    model=side.partition(": ")[0], source=side.partition(": ")[2], measure=name,
                    variant=variant or "paper", placement=placement, group="all",
                )["value"]
                for side in (first, second)
            ]  # fmt: skip
            assert row["difference"] == pytest.approx(values[0] - values[1])  # type: ignore[operator]
    measures = {row["measure"] for row in evaluation.comparisons if row["second"] == f"{a}: {UNIFORM}"}
    assert "soft mass (receptive_field)" in measures
    page_text = page(evaluation)
    main, folded = page_text.split("<h2>Comparisons</h2>")[1].split("Other definitions and placements")
    assert "where the cells look" in main
    assert "stretched" not in main.split("</p>")[1]
    assert "stretched" in folded


def test_any_two_maps_are_compared_on_request_in_every_measure(stores: dict[str, Path]) -> None:
    a, b = (name_of(open_store(stores[key])) for key in ("a", "b"))
    asked = (f"{b.upper()}: grad-cam minus {a}: {UNIFORM}", f"{a}: Grad-CAM minus {a}: {CENTRE}")
    settings = EvaluateSettings(stores["b"], truth=stores["truth"], resampling=PLAN, compare=asked)
    found = evaluate_stores(stores["a"], settings)
    rows = [row for row in found.comparisons if row["first"] == f"{b}: Grad-CAM" and row["group"] == "all"]
    assert {row["second"] for row in rows} == {f"{a}: {UNIFORM}"}
    assert {row["measure"].partition(" (")[0] for row in rows} == {"OrganIoU", "soft mass"}
    assert len(rows) == 6 + 3
    assert all(row["low"] <= row["difference"] <= row["high"] for row in rows)
    other = [row for row in found.comparisons if row["second"] == f"{a}: {CENTRE}" and row["group"] == "all"]
    assert {row["first"] for row in other} == {f"{a}: HiResCAM", f"{a}: Grad-CAM"}
    assert found.to_dict()["settings"]["compare"] == list(asked)


def test_all_pairs_and_wrong_ones(stores: dict[str, Path], tmp_path: Path) -> None:
    model = open_store(stores["a"]).model.name
    done = run(stores["a"], "-o", tmp_path / "out", "--resamples", "0", "--compare", "all")
    assert done.exit_code == 0, done.output
    with (tmp_path / "out" / "comparisons.csv").open(newline="") as stream:
        pairs = {(row["first"], row["second"]) for row in csv.DictReader(stream)}
    names = [f"{model}: {one}" for one in ("HiResCAM", "Grad-CAM", UNIFORM, CENTRE, RANDOM_LAST_LAYER)]
    assert {frozenset(pair) for pair in pairs} == {frozenset(pair) for pair in itertools.combinations(names, 2)}
    assert len(pairs) == 10
    for text, code, words in (
        ("Grad-CAM minus Nonesuch", 1, f"there is no 'Nonesuch' to compare. Name two of these.*{model}: {UNIFORM}"),
        ("Grad-CAM minus grad-cam", 1, "cannot be compared with itself"),
        ("Grad-CAM", 2, "expected 'FIRST minus SECOND' or 'all'"),
    ):
        refused = run(stores["a"], "-o", tmp_path / "again", "--compare", text)
        assert refused.exit_code == code, refused.output
        assert re.search(words, " ".join(refused.stderr.replace("│", " ").split())), refused.stderr
    assert not (tmp_path / "again").exists()


def test_a_pair_without_a_shared_measure_is_told(stores: dict[str, Path], tmp_path: Path) -> None:
    store = open_store(stores["a"])
    table = tmp_path / "nodules.csv"
    centre = store.explanation(cases_in(store)[0]).image_geometry.to_world((3.0, 200.0, 300.0))
    with table.open("w", newline="") as stream:
        row = (cases_in(store)[0], store.labels[1], *centre, 12)
        csv.writer(stream).writerows([("case", "label", "x", "y", "z", "diameter_mm"), row])
    asked = (f"Grad-CAM minus {PRIOR}", f"Grad-CAM minus {CENTRE}")  # no other case has a lesion, so there is no prior
    found = evaluate_stores(stores["a"], EvaluateSettings(lesions=table, resampling=Resampling(0), compare=asked))
    assert [issue.code for issue in found.issues if PRIOR in str(issue)] == ["nothing-to-compare"]
    measures = {row["measure"] for row in found.comparisons if row["first"].endswith("Grad-CAM")}
    assert {
        f"{one} (stretch)" for one in ("error_mm", "to_mask_mm", "cell_hit", "mass_inside", "soft mass")
    } <= measures


def test_lesions_of_a_table_are_pointed_at(stores: dict[str, Path], tmp_path: Path) -> None:
    store = open_store(stores["a"])
    case, other = cases_in(store)[0], cases_in(store, "valid")[0]
    centre = store.explanation(case).image_geometry.to_world((3.0, 200.0, 300.0))
    with (tmp_path / "nodules.csv").open("w", newline="") as stream:
        header = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
        csv.writer(stream).writerows(
            [header, (case, *centre, 12), (other, *(centre + np.array((12.0, 12.0, 0.0))), 30)]
        )
    settings = EvaluateSettings(
        lesions=tmp_path / "nodules.csv", lesion_label=store.labels[1], resampling=Resampling(5)
    )
    found = evaluate_stores(stores["a"], settings)
    explanation = store.explanation(case)
    expected = measure_map(
        explanation.map(store.labels[1]), explanation.geometry(placement="stretch"), [ball(centre, 12)]
    )
    for measure in ("error_mm", "mass_inside", "hit"):
        row = row_of(found.lesions, source="HiResCAM", placement="stretch", measure=measure, group="all")
        assert row["value"] == pytest.approx(getattr(expected, measure))
    row = row_of(found.lesions, source=UNIFORM, placement="stretch", measure="hit", group="size: 10 to 30 mm")
    assert row["n_pairs"] == 1
    row = row_of(found.lesions, source=PRIOR, placement="stretch", measure="to_centre_mm", group="all")
    assert row["value"] == pytest.approx(np.sqrt(2 * 12**2))


RADIUS_MM = 6.0
TURN = np.array([[0.9553, -0.2955, 0.0], [0.2955, 0.9553, 0.0], [0.0, 0.0, 1.0]])
"""17 degrees about the patient's long axis."""


def sphere_on(grid: Geometry, centres: list[np.ndarray]) -> np.ndarray:
    points = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    near = [np.linalg.norm(points - centre, axis=-1) <= RADIUS_MM for centre in centres]
    return np.any(near, axis=0).astype(np.uint8)


def mask_grids(image: Geometry) -> dict[str, Geometry]:
    """Return grids that cover what lies about the middle of a CT: straight, flipped and oblique."""
    middle = image.to_world((np.array(image.shape) - 1) / 2)
    straight = Geometry.canonical((24, 60, 90), (0.4, 0.5, 0.5))
    grids = {"straight": straight, "flipped": straight.subgrid((23, 59, 0), (-1, -1, 1), straight.shape)}
    turned = straight.affine.copy()
    turned[:3, :3] = TURN @ turned[:3, :3]
    grids["oblique"] = Geometry(straight.shape, turned)
    for name, grid in grids.items():
        affine = grid.affine.copy()
        affine[:3, 3] += middle - grid.to_world((np.array(grid.shape) - 1) / 2)
        grids[name] = Geometry(grid.shape, affine)
    return grids


def test_masks_of_lesions_give_the_same_numbers_in_any_grid(stores: dict[str, Path], tmp_path: Path) -> None:
    store = open_store(stores["a"])
    case, label = cases_in(store)[0], store.labels[1]
    explanation = store.explanation(case)
    middle = explanation.image_geometry.to_world((1.5, 255.5, 255.5))
    centres = [
        middle + np.array(one) for one in ((-15.0, 0.5, 0.0), (9.0, -3.0, 0.0))
    ]  # one to the right, one to the left
    values: dict[str, dict[str, float]] = {}
    for name, grid in mask_grids(explanation.image_geometry).items():
        (tmp_path / name).mkdir()
        write_nifti(tmp_path / name / "mask.nii.gz", sphere_on(grid, centres), grid)
        if name == "flipped":  # as other tools store it: x to the left, y to the front
            stored = nibabel.load(tmp_path / name / "mask.nii.gz")
            nibabel.save(stored.as_reoriented(np.array([[0, -1], [1, -1], [2, 1]])), tmp_path / name / "mask.nii.gz")
        (tmp_path / name / "lesions.csv").write_text(f"case,label,mask\n{case},{label},mask.nii.gz\n")
        plan = EvaluateSettings(lesions=tmp_path / name / "lesions.csv", resampling=Resampling(0))
        rows = [row for row in evaluate_stores(stores["a"], plan).lesions if row["group"] == "all"]
        values[name] = {f"{row['source']} {row['placement']} {row['measure']}": row["value"] for row in rows}
    assert len(values["straight"]) > 40
    assert values["flipped"] == pytest.approx(values["straight"], rel=1e-5, abs=1e-5, nan_ok=True)
    assert values["oblique"] == pytest.approx(values["straight"], rel=0.03, abs=0.15, nan_ok=True)
    balls = [ball(centre, 2 * RADIUS_MM) for centre in centres]
    cells = explanation.geometry(placement="stretch")
    assert values["straight"]["HiResCAM stretch error_mm"] == pytest.approx(
        measure_map(explanation.map(label), cells, balls).error_mm, abs=0.1
    )  # two lesions: to the nearest
    mirrored = [middle + (middle - one) * (1, 0, 0) + (one - middle) * (0, 1, 1) for one in centres]
    other = measure_map(explanation.map(label), cells, [ball(one, 2 * RADIUS_MM) for one in mirrored])
    assert abs(other.error_mm - values["straight"]["HiResCAM stretch error_mm"]) > 1  # left is not right


def test_lesion_tables_that_do_not_fit_the_store_are_refused_by_row(stores: dict[str, Path], tmp_path: Path) -> None:
    store = open_store(stores["a"])
    (case, other), label = cases_in(store)[:2], store.labels[1]
    image = store.explanation(case).image_geometry
    grid = mask_grids(image)["straight"]
    far = Geometry.canonical(grid.shape, grid.spacing_mm, (0.0, 0.0, 0.0))
    for name, place, values in (("far", far, 1), ("empty", grid, 0)):
        write_nifti(tmp_path / f"{name}.nii", np.full(grid.shape, values, np.uint8), place)
    (tmp_path / "broken.nii").write_bytes((tmp_path / "far.nii").read_bytes()[:2000])
    outside = ",".join(map(str, image.origin_mm + 500))

    def told(*rows: str) -> str:
        (tmp_path / "lesions.csv").write_text("\n".join(("case,label,mask,x,y,z,diameter_mm", *rows)) + "\n")
        done = run(stores["a"], "-o", tmp_path / "out", "--lesions", tmp_path / "lesions.csv")
        assert done.exit_code == 1, done.output
        assert not (tmp_path / "out").exists()
        return " ".join(done.stderr.split())

    text = told(
        f"{case},{label},far.nii,,,,",
        f"{other},{label},empty.nii,,,,",
        f"{other},{label},broken.nii,,,,",
        f"{other},{label},,{outside},9",
    )
    assert "lesions.csv: masks lie outside of their CT (1): row 2 (far.nii). Give masks that were drawn on" in text
    assert "lesions.csv: masks are empty: all voxels are 0 (1): row 3 (empty.nii). Correct the path" in text
    assert re.search(r"masks cannot be used: the file is truncated or damaged: [^:]+ \(1\): row 4 \(broken.nii\)", text)
    assert "lesions.csv: centres lie outside of their CT (1): row 5. Give them in LPS mm" in text
    text = told(f"{case},{label},,1,2,3,4", f"{case},nodul,,1,2,3,4")
    assert "labels are none of the model's, nor of the 80 (1): row 3: 'nodul'" in text
    assert "names none of the store's cases" in told(f"nobody,{label},,1,2,3,4")
    assert "has lesions of cardiomegaly alone" in told(f"{case},cardiomegaly,,1,2,3,4")


def test_rows_of_lesions_that_say_nothing_are_counted_in_a_warning(stores: dict[str, Path], tmp_path: Path) -> None:
    store = open_store(stores["a"])
    case, label = cases_in(store)[0], store.labels[1]
    image = store.explanation(case).image_geometry
    centre = ",".join(map(str, image.to_world((3.0, 200.0, 300.0))))

    def judged(*rows: str) -> Evaluation:
        (tmp_path / "lesions.csv").write_text("\n".join(("case,label,x,y,z,diameter_mm", *rows)) + "\n")
        return evaluate_stores(
            stores["a"], EvaluateSettings(lesions=tmp_path / "lesions.csv", resampling=Resampling(5))
        )

    once = f"{case},{label},{centre},12"
    not_label = next(name for name in ("cardiomegaly", "hernia") if name not in store.labels)
    found = judged(once, once, f"nobody,{label},1,2,3,4", f"noone,{label},1,2,3,4", f"{case},{not_label},1,2,3,4")
    told = [str(issue) for issue in found.issues]
    assert any("cases that the store does not have, and are left out (2): row 4, row 5" in text for text in told), told
    assert any("labels that the model does not have, and are left out (1): row 6" in text for text in told), told
    assert any("it counts once (1): row 3 repeats row 2" in text for text in told), told
    alone = judged(once)
    assert [issue for issue in alone.issues if issue.code.startswith("lesions-")] == []
    assert alone.lesions == found.lesions
    with pytest.raises(InputError, match="diameters are larger than their CT"):
        judged(f"{case},{label},{centre},1e6")


def test_a_cohort_that_is_not_found_is_told(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "phantoms", n=4)
    settings = BatchSettings(str(write_model(tmp_path / "tiny.safetensors")), device="cpu")
    batch = prepare_batch(tmp_path / "phantoms", tmp_path / "store", settings)
    open_for_filling(tmp_path / "store", batch.plan)
    run_batch(batch)
    evaluate = EvaluateSettings(on="all", resampling=Resampling(0))
    assert "cohort-not-found" not in {issue.code for issue in evaluate_stores(tmp_path / "store", evaluate).issues}
    (tmp_path / "moved").mkdir()
    (tmp_path / "store").rename(tmp_path / "moved" / "store")
    issue = next(i for i in evaluate_stores(tmp_path / "moved" / "store", evaluate).issues if "cohort" in i.code)
    assert issue.file == "store"
    assert "was not found at '../phantoms'" in issue.message
    assert "so neither its CTs nor what it knows of lesions can be read" in issue.message
    assert str(tmp_path) not in str(issue)


def test_phantoms_bring_their_own_lesions_and_the_command_writes_everything(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "phantoms", n=7)
    settings = BatchSettings(str(write_model(tmp_path / "tiny.safetensors")), device="cpu")
    batch = prepare_batch(tmp_path / "phantoms", tmp_path / "store", settings)
    open_for_filling(tmp_path / "store", batch.plan)
    run_batch(batch)
    done = run(tmp_path / "store", "-o", tmp_path / "out", "--on", "all", "--resamples", "10", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["organ_iou"]
    assert {row["source"] for row in document["lesions"]} >= {
        "HiResCAM",
        "Grad-CAM",
        UNIFORM,
        CENTRE,
        RANDOM_LAST_LAYER,
    }
    files = {item.name for item in (tmp_path / "out").iterdir()}
    tables = {"summary", "labels", "calibration", "organ_iou", "lesions", "comparisons", "slice_scores"}
    tables |= {"organ_iou_left_out"} & set(document)
    assert files == {"evaluation.json", "evaluation.html", "slice_scores.svg"} | {f"{name}.csv" for name in tables}
    page = (tmp_path / "out" / "evaluation.html").read_text()
    for words in ("Predictions", "Organs", "Lesions", "Comparisons", "Slice scores", "not for clinical use"):
        assert words in page
    again = run(tmp_path / "store", "-o", tmp_path / "out")
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(create_app(), ["evaluate", *(str(argument) for argument in arguments)])


def test_pairs_without_a_threshold_are_counted_named_and_told(stores: dict[str, Path], tmp_path: Path) -> None:
    store = open_store(stores["a"])
    with stores["truth"].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    without = store.labels[:1]
    for row in rows:
        for label in without:
            row[label] = "0" if row["case"] in cases_in(store, "valid") else "1"
    with (tmp_path / "truth.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    judged = [row for row in rows if row["case"] in cases_in(store)]
    shown = sum(row[label] == "1" for row in judged for label in store.labels)
    out = tmp_path / "out"
    done = run(stores["a"], "-o", out, "--truth", tmp_path / "truth.csv", "--resamples", "5")
    assert done.exit_code == 0, done.output
    left = sum(row[without[0]] == "1" for row in judged)
    words = f"OrganIoU of {store.model.name} is over {shown - left} of {shown} pairs of a case and a label that it has"
    for text in (done.stderr, (out / "evaluation.html").read_text()):
        assert words in text
        assert "no validation case has it, so no threshold could be chosen" in text
        assert display_name(without[0]) in text
    document = json.loads((out / "evaluation.json").read_text())
    own = {"source": "HiResCAM", "variant": "paper", "placement": "receptive_field"}
    row = row_of(tuple(document["organ_iou_left_out"]), **own)
    assert (row["label"], row["n_pairs"]) == (without[0], left)
    assert document["issues"][0]["code"] == "pairs-left-out"


def test_an_evaluation_says_when_by_what_and_of_what_it_was_made(stores: dict[str, Path], tmp_path: Path) -> None:
    done = run(stores["a"], "-o", tmp_path / "out", "--truth", stores["truth"], "--resamples", "5", "--seed", "9")
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert document["time"].endswith("+00:00")
    assert {"hirescam-napari", "torch", "numpy"} <= set(document["versions"])
    store = open_store(stores["a"])
    assert document["stores"]["evaluated"]["sha256"] == store.sha256
    assert document["stores"]["evaluated"]["model"]["sha256"] == store.model.sha256
    settings = document["settings"]
    assert (settings["resamples"], settings["seed"], settings["on"]) == (5, 9, None)
    assert settings["truth"]["sha256"] == hashlib.sha256(stores["truth"].read_bytes()).hexdigest()
    assert "truth.csv" not in json.dumps(settings)


def test_slice_scores_follow_the_truth_that_was_given(evaluation: Evaluation, stores: dict[str, Path]) -> None:
    labels = open_store(stores["a"]).labels
    assert [one.label for one in evaluation.bands] == list(labels[:3])  # by the table no case has the last one
    assert evaluation.bands_of == name_of(open_store(stores["a"]))


@pytest.mark.parametrize(
    ("on", "words", "note"),
    [
        (
            "valid",
            "chosen on the validation cases, which are the very cases that are judged",
            "validation cases: where",
        ),
        ("all", "on 8 validation cases, which are among those that are judged", "Cases of all splits"),
        (None, "on 8 validation cases, none of which is judged", "split test"),
    ],
)
def test_the_page_says_on_which_cases_thresholds_were_chosen(
    stores: dict[str, Path], on: str | None, words: str, note: str
) -> None:
    found = evaluate_stores(stores["a"], EvaluateSettings(on=on, resampling=Resampling(0)))  # type: ignore[arg-type]
    assert words in found.thresholds
    assert ("too good" in found.thresholds) == (on is not None)
    assert any(note in one for one in found.notes)
    assert words in page(found)


def test_thresholds_of_an_earlier_evaluation_are_used(stores: dict[str, Path], tmp_path: Path) -> None:
    none = Resampling(0)
    first = evaluate_stores(stores["a"], EvaluateSettings(on="valid", resampling=none))
    assert "too good" in first.thresholds
    (tmp_path / "evaluation.json").write_text(json.dumps(first.to_dict()))
    reused = evaluate_stores(stores["a"], EvaluateSettings(thresholds=tmp_path, resampling=none))
    assert reused.thresholds == "Thresholds are those of an earlier evaluation (--thresholds)."
    assert reused.organ_iou == evaluate_stores(stores["a"], EvaluateSettings(resampling=none)).organ_iou
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "evaluation.json").write_text("{")
    for given, words in (
        (stores["truth"], "truth.*no evaluation"),
        (tmp_path / "nothere", "nothere: there is no such folder"),
        (stores["a"], f"{stores['a'].name}: has no evaluation.json"),
        (tmp_path / "broken", "broken: its evaluation.json is damaged"),
    ):
        with pytest.raises(InputError, match=words):
            evaluate_stores(stores["a"], EvaluateSettings(thresholds=given))


def test_what_cannot_be_evaluated_is_refused_with_a_way_out(stores: dict[str, Path], tmp_path: Path) -> None:
    unknown = make_store(tmp_path / "unknown", n_cases=4, truth=False)
    with pytest.raises(InputError, match="--truth"):
        evaluate_stores(unknown)
    empty = make_store(tmp_path / "empty", n_cases=2, missing=(0, 1))
    with pytest.raises(InputError, match=r"no case is explained yet\..*hirescam batch"):
        evaluate_stores(empty)
    with pytest.raises(InputError, match="no case is of split train"):
        evaluate_stores(stores["a"], EvaluateSettings(on="train"))
    larger = make_store(tmp_path / "larger", n_cases=16, n_labels=4, cells=(4, 4))
    with pytest.raises(InputError, match="another architecture"):
        evaluate_stores(stores["a"], EvaluateSettings(random=larger))
    with pytest.raises(InputError, match="differ in what is known"):
        evaluate_stores(stores["a"], EvaluateSettings(against=stores["b"]))
    (tmp_path / "wrong.csv").write_text("case,nodules\na,1\n")
    with pytest.raises(InputError, match="no column that is a label"):
        evaluate_stores(stores["a"], EvaluateSettings(truth=tmp_path / "wrong.csv"))
    assert run(tmp_path / "nothing", "-o", tmp_path / "out").exit_code == 1
    assert not (tmp_path / "out").exists()


def test_the_terminal_says_why_there_is_no_number_and_the_way_out(tmp_path: Path) -> None:
    store = make_store(tmp_path / "few", n_cases=3, n_labels=2)
    n = len(open_store(store).cases)
    done = run(store, "-o", tmp_path / "out", "--on", "test", "--resamples", "5")
    assert done.exit_code == 0, done.output
    assert "Judged on 1 case (split test)." in done.stdout
    assert "2 labels of 2 are n/a: no judged case has the finding, or all have" in done.stdout
    assert f"--on all judges all {n} cases of the store." in done.stdout
    text = (tmp_path / "out" / "evaluation.html").read_text()
    assert text.count("n/a: no abnormality has") == 3  # in the empty frames of ROC, calibration and AUROC


def test_a_truth_with_two_columns_for_one_label_is_refused(stores: dict[str, Path], tmp_path: Path) -> None:
    store = open_store(stores["a"])
    name = store.labels[0]
    table = tmp_path / "truth.csv"
    table.write_text(f"case,{name},{name.upper()}\n" + "".join(f"{case},1,0\n" for case in store.cases))
    with pytest.raises(InputError, match=f"several columns for one label: {name}"):
        read_truth(table, store)
