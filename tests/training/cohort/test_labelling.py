from __future__ import annotations

import csv
import errno
from pathlib import Path

import pytest

from training.cohort import labelling
from training.cohort.jobs import cluster
from training.cohort.labelling import Failure, check_outputs, label_table, parts_folder, parts_of, read_reports
from training.cohort.sources.tables import MAX_CELL_CHARS
from training.issues import Cancelled, InputError
from training.partition.reports.table import LabelledRow, LabelSettings, label_one, label_rows, write_labels

TEXTS = ("Left pleural effusion.", "No nodule in the right lung.", "Mass in the right upper lobe.", "Cardiomegaly.")
ROWS = tuple((f"case-{i}", TEXTS[i % len(TEXTS)]) for i in range(10))
SETTINGS = LabelSettings()
NAMES = ("out.csv", "out.locations.csv", "out.evidence.csv")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "PART_REPORTS", 3)


def contents(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text(encoding="utf-8") for name in NAMES}


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one process writes in one go."""
    folder = tmp_path_factory.mktemp("wanted")
    write_labels(label_rows(list(ROWS), SETTINGS), folder / "out.csv", SETTINGS)
    return contents(folder)


def test_parts_give_what_one_go_gives(tmp_path: Path, wanted: dict[str, str]) -> None:
    seen: list[tuple[int, int, str]] = []
    done = label_table(ROWS, SETTINGS, tmp_path / "out.csv", progress=lambda *at: seen.append(at))
    assert contents(tmp_path) == wanted
    assert (done.reports, done.done_before, done.failures) == (10, 0, ())
    assert [at[0] for at in seen] == [3, 6, 9, 10]
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES)


def test_a_full_disk_names_the_output_not_a_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def full(path: Path, *mode: str, **more: str) -> object:
        if path.name.startswith(".partial-"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, *mode, **more)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(InputError, match=r"out\.csv: cannot be written: the disk is full"):
        label_table(ROWS, SETTINGS, tmp_path / "out.csv")


def test_workers_give_the_same(tmp_path: Path, wanted: dict[str, str]) -> None:
    with cluster(1) as client:
        label_table(ROWS, SETTINGS, tmp_path / "out.csv", client)
    assert contents(tmp_path) == wanted


def test_a_stopped_run_goes_on_where_it_was(
    tmp_path: Path, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = iter((False, True))
    with pytest.raises(Cancelled):
        label_table(ROWS, SETTINGS, tmp_path / "out.csv", cancelled=lambda: next(asked))
    assert not (tmp_path / "out.csv").exists()
    made: list[str] = []

    def counted(row: tuple[str, str], settings: LabelSettings) -> LabelledRow:
        made.append(row[0])
        return label_one(row, settings)

    monkeypatch.setattr(labelling, "label_one", counted)
    done = label_table(ROWS, SETTINGS, tmp_path / "out.csv")
    assert done.done_before == 6
    assert made == [case for case, _ in ROWS[6:]]
    assert contents(tmp_path) == wanted
    assert not parts_folder(tmp_path / "out.csv").exists()


@pytest.mark.parametrize("settings", [LabelSettings(variant="authors"), LabelSettings(lymph_node_mm=15.0)])
def test_other_settings_use_nothing_of_an_earlier_run(tmp_path: Path, settings: LabelSettings) -> None:
    one, other = ([part.place for part in parts_of(ROWS, own, tmp_path)] for own in (SETTINGS, settings))
    assert not set(one) & set(other)


def test_a_changed_vocabulary_or_report_is_labelled_again(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    places = []
    for words in ("air leak", "leak of air"):
        own.write_text(f'[abnormalities.pneumothorax]\nany = ["{words}"]\n', encoding="utf-8")
        places.append([part.place for part in parts_of(ROWS, LabelSettings(vocabulary=(own,)), tmp_path)])
    assert not set(places[0]) & set(places[1])
    before = [part.place for part in parts_of(ROWS, SETTINGS, tmp_path)]
    after = [part.place for part in parts_of((*ROWS[:4], ("case-4", "Changed."), *ROWS[5:]), SETTINGS, tmp_path)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, True]


def test_a_failed_report_is_told_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(row: tuple[str, str], settings: LabelSettings) -> object:
        if row[0] == "case-4":
            raise RuntimeError("no way")
        return label_one(row, settings)

    monkeypatch.setattr(labelling, "label_one", breaks)
    told: list[Failure] = []
    rows = (*ROWS[:2], ("case-2", "  \n"), *ROWS[3:])
    done = label_table(rows, SETTINGS, tmp_path / "out.csv", told=told.append)
    assert told == list(done.failures)
    assert told == [Failure("case-2", "the report holds no text"), Failure("case-4", "RuntimeError: no way")]
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        assert [row["case"] for row in csv.DictReader(file)] == [f"case-{i}" for i in (0, 1, 3, 5, 6, 7, 8, 9)]
    assert (tmp_path / "out.failures.csv").read_text(encoding="utf-8").splitlines()[1].startswith("case-2,")
    monkeypatch.setattr(labelling, "label_one", label_one)
    label_table(ROWS, SETTINGS, tmp_path / "out.csv")
    assert not (tmp_path / "out.failures.csv").exists()


def test_a_table_without_any_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        label_table([("a", ""), ("b", " ")], SETTINGS, tmp_path / "out.csv")
    assert refused.value.issues[0].code == "no-labels"
    assert list(tmp_path.iterdir()) == []


def table(folder: Path, text: str) -> Path:
    path = folder / "in.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_report_columns_are_joined_and_columns_found_by_any_known_name(tmp_path: Path) -> None:
    path = table(tmp_path, 'VolumeName,Findings_EN,Impressions_EN\na,"one, two",three\nb,,four\n')
    assert read_reports(path) == [("a", "one, two\nthree"), ("b", "\nfour")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("case,foo\na,b\n", "reports-columns"),
        ("There is a nodule of Mrs. Miller.,a\nb,c\n", "reports-columns"),
        ("case;report\na;b\n", "reports-columns"),
        ("case,report\n", "reports-empty"),
        ("", "no-columns"),
        ("case,report\na,x\na,y\n", "reports-duplicate-case"),
        ("case,report\n ,x\n", "no-case-name"),
        ("case,report\na\0,x\n", "no-case-name"),
        ("case,report,report\na,x,y\n", "duplicate-columns"),
        ("case,report\na,x,y\n", "ragged-table"),
        ('case,report\na,"x\nb,y\nc,z\n', "not-csv"),
    ],
)
def test_bad_tables_are_refused_without_quoting_them(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(InputError) as refusal:
        read_reports(table(tmp_path, text))
    assert (refusal.value.issues[0].code, refusal.value.issues[0].file) == (code, "in.csv")
    assert "Miller" not in str(refusal.value)


def test_a_long_report_is_read_and_an_endless_one_is_one_failed_row(tmp_path: Path) -> None:
    long = "A nodule in the right lung. " * 5_000
    endless = "x " * 600_000
    path = table(tmp_path, f'case,report\na,"{long}"\nb,"{endless}"\nc,Left pneumonia.\n')
    done = label_table(read_reports(path), SETTINGS, tmp_path / "out.csv")
    assert len(long) > 131_072
    (failure,) = done.failures
    assert failure == Failure(
        "b", "the report has 1,199,999 characters; look for a quote in its row that is not closed"
    )
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        assert [(r["case"], r["lung nodule"], r["pneumonia"]) for r in csv.DictReader(file)] == [
            ("a", "1", "0"),
            ("c", "0", "1"),
        ]


def test_the_limit_of_cells_is_set_once_and_its_issue_tells_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = csv.field_size_limit()
    read_reports(table(tmp_path, "case,report\na,x\n"))
    assert csv.field_size_limit() == before == MAX_CELL_CHARS
    csv.field_size_limit(10)
    try:
        with pytest.raises(InputError) as refusal:
            read_reports(table(tmp_path, f"case,report\na,{'x' * 20}\n"))
    finally:
        csv.field_size_limit(before)
    assert refusal.value.issues[0].code == "cell-too-long"
    assert "Close every quote; if all are closed, shorten that cell." in str(refusal.value)


def test_a_damaged_report_is_one_failed_row(tmp_path: Path) -> None:
    path = table(tmp_path, "case,report\na,left \0pneumonia\nb,Left pneumonia.\n")
    done = label_table(read_reports(path), SETTINGS, tmp_path / "out.csv")
    (failure,) = done.failures
    assert failure.case == "a"
    assert failure.reason.startswith("the report holds NUL characters")


def test_reports_that_mention_nothing_are_named(tmp_path: Path) -> None:
    rows = [
        ("a", "The lungs are clear."),
        ("b", "Kein Nachweis eines Rundherdes."),
        ("c", "No pneumothorax."),
        ("d", "A nodule of the liver."),
    ]
    done = label_table(rows, SETTINGS, tmp_path / "out.csv")
    assert done.unmentioned == ("a", "b")
    with (tmp_path / "out.unmentioned.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [(row["case"], row["words"]) for row in found] == [("a", "4"), ("b", "4")]
    assert "lung" in found[0]["places"].split()
    assert found[1]["places"] == ""
    label_table(rows[2:], SETTINGS, tmp_path / "out.csv")
    assert not (tmp_path / "out.unmentioned.csv").exists()


@pytest.mark.parametrize("name", ["out.csv", "out.evidence.csv", "out.unmentioned.csv", "out.csv.report.json"])
def test_what_is_there_is_replaced_only_when_asked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="--overwrite") as refusal:
        check_outputs(tmp_path / "out.csv", [])
    assert [(issue.code, issue.file) for issue in refusal.value.issues] == [("output-exists", name)]
    check_outputs(tmp_path / "out.csv", [], overwrite=True)


def test_labels_never_replace_what_is_read_nor_a_folder(tmp_path: Path) -> None:
    reports = tmp_path / "out.evidence.csv"
    for out in (reports, tmp_path / "out.csv"):
        with pytest.raises(InputError) as refusal:
            check_outputs(out, [reports], overwrite=True)
        assert refusal.value.issues[0].code == "output-is-input"
    with pytest.raises(InputError) as refusal:
        check_outputs(tmp_path, [reports])
    assert refusal.value.issues[0].code == "output-exists"
    check_outputs(tmp_path / "other.csv", [reports])
