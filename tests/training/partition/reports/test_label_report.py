"""The 80 labels from sentences: Table 4 of the paper, sides, variants, sizes, denials."""

from __future__ import annotations

import pytest

from training.labels import all_labels
from training.partition.reports import Status, label_report, load_vocabulary
from training.partition.reports.labels import abnormality_of, allowed_pairs

TABLE_4 = [
    ("the heart is enlarged without pericardial effusion", {"cardiomegaly": ()}),
    ("there is a nodule in the right upper lobe", {"lung nodule": ("right",)}),
    ("left pneumonia", {"pneumonia": ("left",)}),
    ("calcifications in the aorta", {"great vessel calcification": ()}),
    (
        "a calcified granuloma is visible in the apex of the left lung",
        {"lung calcification": ("left",), "lung granuloma": ("left",)},
    ),
    ("the catheter tip is visible in the SVC", {"great vessel catheter or port": ()}),
    ("The lungs are clear", {}),
    ("The consolidation has resolved", {}),
]


@pytest.mark.parametrize(("sentence", "expected"), TABLE_4, ids=[s[:30] for s, _ in TABLE_4])
def test_table_4_of_the_paper(sentence: str, expected: dict[str, tuple[str, ...]]) -> None:
    labels = label_report(sentence)
    positive = {name for name, value in labels.values().items() if value}
    assert positive == set(expected)
    assert {name: tuple(sorted(labels.sides(name))) for name in expected} == expected


def test_denied_findings_stay_as_evidence() -> None:
    labels = label_report("the heart is enlarged without pericardial effusion")
    assert labels.status("pericardial effusion") is Status.ABSENT
    assert labels.status("pneumothorax") is None
    assert labels.values()["pericardial effusion"] == 0


@pytest.mark.parametrize(
    ("sentence", "label", "value"),
    [
        ("The pleural effusion is no longer present.", "pleural effusion", 0),
        ("Pleural effusion was not observed.", "pleural effusion", 0),
        ("No nodule, mass or consolidation was detected in the right lung.", "lung mass", 0),
        ("No nodule in the right lung; there is consolidation in the left lung.", "consolidation", 1),
        ("No nodule in the right lung; there is consolidation in the left lung.", "lung nodule", 0),
        ("No significant change in the size of the nodule in the left lung.", "lung nodule", 1),
        ("The heart is larger than normal.", "cardiomegaly", 1),
        ("The heart is of normal size.", "cardiomegaly", 0),
        ("No mass other than a nodule in the right lung.", "lung nodule", 1),
        ("No mass other than a nodule in the right lung.", "lung mass", 0),
        ("A nodule in the right lung, not seen on the previous scan.", "lung nodule", 1),
        ("The nodule seen in the right lung before was not observed in this scan.", "lung nodule", 0),
        ("Trachea and both main bronchi are open, calibration of the aorta is normal.", "bronchiectasis", 0),
        ("An effusion of 17 mm is observed in the pericardial area.", "pericardial effusion", 1),
        ("An effusion of 17 mm is observed in the pericardial area.", "pleural effusion", 0),
        ("There is perirenal effusion.", "pleural effusion", 0),
        ("Right-sided effusion.", "pleural effusion", 1),
        ("Lungs are clear. Bilateral effusions.", "pleural effusion", 1),
        ("No effusion on the right; small left effusion.", "pleural effusion", 1),
        ("Resolved left effusion.", "pleural effusion", 0),
        ("Interval resolution of the left effusion.", "pleural effusion", 0),
        ("Partial resolution of the left effusion.", "pleural effusion", 1),
        ("A nodule in the right lobe of the thyroid.", "lung nodule", 0),
        ("A nodule in the right lobe of the liver.", "lung nodule", 0),
        ("Fibroatelectatic changes in both lungs.", "atelectasis", 0),
        ("Fibroatelectatic changes in both lungs.", "fibrosis (lung)", 1),
        ("Calcific plaques in the abdominal aorta.", "great vessel calcification", 0),
        ("Calcific plaques in the thoracic aorta.", "great vessel calcification", 1),
        ("Calcific plaques in the aorta and coronary arteries.", "heart calcification", 1),
        ("Calcific plaques in the aorta and coronary arteries.", "coronary artery disease", 1),
        ("Subcutaneous emphysema in the chest wall.", "emphysema", 0),
        ("Sternal wires and a pacemaker are seen.", "sternotomy", 1),
        ("Sternal wires and a pacemaker are seen.", "pacemaker or defib", 1),
        ("The catheter in the SVC was removed.", "great vessel catheter or port", 0),
    ],
)
def test_denials_organs_and_look_alikes(sentence: str, label: str, value: int) -> None:
    assert label_report(sentence).values()[label] == value


def test_uncertain_is_named_and_counts_by_policy() -> None:
    labels = label_report("Possible pneumonia in the left lower lobe.")
    assert labels.status("pneumonia") is Status.UNCERTAIN
    assert labels.values()["pneumonia"] == 1
    assert labels.values(uncertain="absent")["pneumonia"] == 0


def test_sizes_decide_large_nodules_and_lymph_nodes() -> None:
    assert label_report("A 12 mm nodule in the right lung.").values()["lung nodulegr1cm"] == 1
    assert label_report("A 0.8 cm nodule in the right lung.").values()["lung nodulegr1cm"] == 0
    enlarged = "A lymph node of 17x13 mm is observed in the mediastinum."
    small = "A lymph node with a short axis of 6 mm is observed in the mediastinum."
    assert label_report(enlarged).values()["mediastinum lymphadenopathy"] == 1
    assert label_report(small).values()["mediastinum lymphadenopathy"] == 0
    assert label_report(small, lymph_node_mm=5).values()["mediastinum lymphadenopathy"] == 1


def test_short_axis_wins_over_other_lengths() -> None:
    text = "Lymph nodes in the mediastinum, the largest with a short axis reaching 11 mm."
    assert label_report(text).values()["mediastinum lymphadenopathy"] == 1


def test_the_authors_variant_forgets_the_side_of_lung_diseases() -> None:
    text = "left pneumonia"
    assert label_report(text).sides("pneumonia") == {"left"}
    assert label_report(text, variant="authors").sides("pneumonia") == {"right", "left"}
    nodule = "a nodule in the left lung"
    assert label_report(nodule, variant="authors").sides("lung nodule") == {"left"}


def test_the_authors_variant_needs_a_side_for_generic_findings() -> None:
    text = "scattered pulmonary nodules"
    assert label_report(text).values()["lung nodule"] == 1
    assert label_report(text, variant="authors").values()["lung nodule"] == 0


def test_evidence_points_at_the_words() -> None:
    text = "Heart size is normal. There is a nodule in the right upper lobe."
    (finding,) = label_report(text).evidence["lung nodule"].findings
    assert text[slice(*finding.span)] == "nodule"
    assert label_report(text).sentences("lung nodule") == ("There is a nodule in the right upper lobe",)


def test_every_label_is_made_of_a_known_abnormality() -> None:
    vocabulary = load_vocabulary()
    assert [label.name for label in all_labels() if abnormality_of(label) not in vocabulary.abnormalities] == []


def test_sizes_of_the_vocabulary() -> None:
    vocabulary = load_vocabulary()
    systems = [vocabulary.abnormalities[k].group for k in vocabulary.abnormality_keys]
    assert (systems.count("lung"), systems.count("heart"), systems.count("generic")) == (27, 9, 47)
    assert len(vocabulary.location_keys) == 51
    assert {k: len(v) for k, v in allowed_pairs().items()} == {
        "lung": 35,
        "heart": 15,
        "great_vessel": 13,
        "mediastinum": 8,
    }
