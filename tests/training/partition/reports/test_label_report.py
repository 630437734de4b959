"""The 80 labels from sentences: Table 4 of the paper, sides, variants, sizes, denials."""

from __future__ import annotations

import pytest

from training.labels import all_labels, find_label
from training.partition.reports import Status, findings, label_report, load_vocabulary
from training.partition.reports.context import Clause
from training.partition.reports.labels import abnormality_of, allowed_pairs, sides_of
from training.partition.reports.sizes import Length, lengths
from training.partition.reports.tokens import Sentence

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


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("A mediastinal lymph node of 11 mm long axis; 6 mm short axis.", 0, "short axis 6 mm is less than 10 mm"),
        ("A mediastinal lymph node of 14 mm long axis; 10 mm short axis.", 1, "short axis 10 mm is at least 10 mm"),
        ("Mediastinal lymph nodes, long axis 15 mm and short axis 12 mm.", 1, "short axis 12 mm is at least 10 mm"),
        ("A lymph node in the mediastinum. Its short axis is 12 mm.", 1, "short axis 12 mm is at least 10 mm"),
        ("Mediastinal lymph node with a long axis of 11 mm.", 0, "long axis 11 mm, no short axis told"),
        ("A lymph node is observed in the mediastinum.", 0, "no size told"),
        ("A lymph node in the mediastinum. A nodule, short axis 12 mm.", 0, "no size told"),
        ("A lymph node of 12 mm (short axis 8 mm) in the mediastinum.", 0, "short axis 8 mm is less than 10 mm"),
        ("Hilar lymph nodes smaller than 10 mm in short axis.", 0, "short axis below 10 mm is less than 10 mm"),
        ("Mediastinal lymph nodes below 2 cm.", 1, "short axis below 20 mm may be at least 10 mm"),
        ("Mediastinal lymph nodes are not enlarged.", 0, "no size told"),
        ("Mediastinal lymph nodes that are not pathologically enlarged.", 0, ""),
    ],
)
def test_the_short_axis_decides_and_what_it_decides_against_is_evidence(text: str, value: int, reason: str) -> None:
    labels = label_report(text)
    assert labels.values()["mediastinum lymphadenopathy"] == value
    (finding,) = labels.evidence["mediastinum lymphadenopathy"].findings
    assert (finding.status, finding.reason) == (Status.PRESENT if value else Status.ABSENT, reason)


def test_a_node_that_words_call_enlarged_needs_no_size() -> None:
    labels = label_report("Enlarged lymph nodes in the mediastinum, short axis 8 mm.")
    assert labels.values()["mediastinum lymphadenopathy"] == 1
    assert [f.reason for f in labels.evidence["mediastinum lymphadenopathy"].findings] == [""]


def test_a_small_nodule_leaves_a_row_for_the_large_one() -> None:
    labels = label_report("An 8 mm nodule in the right lung.")
    (finding,) = labels.evidence["lung nodulegr1cm"].findings
    assert (finding.status, finding.reason) == (Status.ABSENT, "8 mm is not more than 10 mm")
    assert labels.status("lung nodule") is Status.PRESENT
    assert "lung nodulegr1cm" not in label_report("A nodule in the right lung.").evidence


def test_every_mention_has_its_own_sides() -> None:
    labels = label_report("No nodule in the right lung. A nodule in the left lung.")
    found = labels.evidence["lung nodule"]
    label = find_label("lung nodule")
    assert [sides_of(finding, label) for finding in found.findings] == [{"right"}, {"left"}]
    assert found.sides == {"left"}
    (denied,) = label_report("No pneumonia in the left lung.").evidence["pneumonia"].findings
    assert sides_of(denied, find_label("pneumonia"), "authors") == {"left"}
    (heart,) = label_report("Enlarged heart on the left.").evidence["cardiomegaly"].findings
    assert sides_of(heart, find_label("cardiomegaly")) == frozenset()


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


@pytest.mark.parametrize(
    ("text", "label", "sides"),
    [
        ("Mass of 3.2 cm in the LUL.", "lung mass", {"left"}),
        ("RLL nodule measuring 7 mm.", "lung nodule", {"right"}),
        ("RML consolidation.", "consolidation", {"right"}),
        ("GGN in the RUL.", "lung nodule", {"right"}),
        ("GGN in the RUL.", "groundglass", {"right"}),
        ("Calcified granuloma in the LLL.", "lung granuloma", {"left"}),
        ("Bilateral GGO.", "groundglass", {"right", "left"}),
        ("Bilateral GGO.", "lung opacity", {"right", "left"}),
        ("GGOs.", "lung opacity", set()),
        ("Enlarged mediastinal LNs.", "mediastinum lymphadenopathy", set()),
        ("Mediastinal LN, short axis 12 mm.", "mediastinum lymphadenopathy", set()),
    ],
)
def test_the_usual_abbreviations_are_read(text: str, label: str, sides: set[str]) -> None:
    labels = label_report(text)
    assert labels.status(label) is Status.PRESENT
    assert labels.sides(label) == sides
    assert labels.unplaced == ()


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("Lymphadenopathy.", {"lymphadenopathy"}),
        ("8 mm nodule.", {"nodule"}),
        ("Calcified granuloma.", {"calcification", "granuloma"}),
        ("Right nodule.", {"nodule"}),
        ("Spiculated mass, 3.2 cm, suspicious for malignancy.", {"mass", "cancer"}),
        ("No mass.", set()),
        ("Nodule in the right lung. The nodule has grown.", set()),
        ("Mass in the liver.", set()),
    ],
)
def test_a_mention_without_a_place_is_kept_with_the_reason(text: str, lost: set[str]) -> None:
    labels = label_report(text)
    assert labels.lost() == lost
    assert all(f.reason.endswith("no place named") for f in labels.unplaced)
    assert lost <= {f.abnormality for f in labels.unplaced}


def test_the_reason_names_the_size_and_the_status_is_as_said() -> None:
    denied, doubted = label_report("No mass."), label_report("Possible mass.")
    assert [f.status for f in (*denied.unplaced, *doubted.unplaced)] == [Status.ABSENT, Status.UNCERTAIN]
    small = label_report("8 mm nodule.").unplaced[1]
    assert (small.status, small.reason) == (Status.ABSENT, "8 mm is not more than 10 mm; no place named")


def test_the_authors_variant_tells_of_a_side_that_is_missing() -> None:
    labels = label_report("scattered pulmonary nodules", variant="authors")
    assert {f.reason for f in labels.unplaced} == {"no side of the lungs named"}
    assert "nodule" in labels.lost()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Pneumonia cannot be excluded.", Status.UNCERTAIN),
        ("Pneumonia can not be excluded.", Status.UNCERTAIN),
        ("Pneumonia could not be ruled out.", Status.UNCERTAIN),
        ("Left pneumonia is not excluded.", Status.UNCERTAIN),
        ("This does not exclude pneumonia.", Status.UNCERTAIN),
        ("Pneumonia is excluded.", Status.ABSENT),
        ("Pneumonia has been ruled out.", Status.ABSENT),
    ],
)
def test_what_is_not_excluded_is_doubted(text: str, status: Status) -> None:
    assert label_report(text).status("pneumonia") is status


@pytest.mark.parametrize(
    ("mm", "status", "reason"),
    [
        (8, Status.ABSENT, "short axis 8 mm is less than 10 mm"),
        (12, Status.UNCERTAIN, "short axis 12 mm is at least 10 mm"),
    ],
)
def test_a_doubted_lymphadenopathy_is_decided_by_its_short_axis(mm: int, status: Status, reason: str) -> None:
    labels = label_report(f"Possible mediastinal lymphadenopathy, short axis {mm} mm.")
    assert labels.status("mediastinum lymphadenopathy") is status
    assert {f.reason for f in labels.evidence["mediastinum lymphadenopathy"].findings} == {reason}


def test_a_clause_of_many_findings_is_searched_for_lengths_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[object] = []

    def counted(sentence: Sentence, part: Clause) -> tuple[Length, ...]:
        searched.append((sentence.span, part))
        return lengths(sentence, part)

    monkeypatch.setattr(findings, "lengths", counted)
    found = label_report("Right lung nodule 12 mm, " + "nodule, " * 1000)
    assert len(found.findings) > 1000
    assert 1 < len(searched) < 20
    assert found.findings[0].sizes_mm == (12.0,)
