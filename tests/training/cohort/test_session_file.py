"""Session files bring back result and view, hold no path, and find their CT."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.cohort.inputs import Origin
from training.cohort.places import find_place
from training.cohort.session_file import Session, is_session, read_session, write_session
from training.explain.result import Explanation
from training.issues import InputError

VIEW = {"state": {"label": "atelectasis"}, "slice_mm": -12.5}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "settings"
    for name in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr("training.cohort.places.config_dir", lambda: folder)
    return folder


@pytest.fixture
def session(tmp_path: Path, explanation_factory: Callable[..., Explanation]) -> Session:
    ct = tmp_path / "Recognisable Name"
    ct.mkdir()
    return Session(VIEW, explanation_factory(n_labels=3, n_groups=4), "a" * 64, Origin(ct, 2, True))


def test_it_reads_back_the_same(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "s.hirescam"
    write_session(path, session)
    found = read_session(path)
    assert found.view == VIEW
    assert found.pixels_sha256 == "a" * 64
    assert found.explanation is not None
    assert np.array_equal(found.explanation.map(1), session.explanation.map(1))  # type: ignore[union-attr]
    assert found.origin == session.origin


def test_the_second_model_of_a_comparison_comes_along(
    session: Session, tmp_path: Path, explanation_factory: Callable[..., Explanation]
) -> None:
    second = explanation_factory(n_labels=5, n_groups=4)
    write_session(tmp_path / "s.hirescam", replace(session, second=second))
    found = read_session(tmp_path / "s.hirescam")
    assert found.explanation is not None
    assert found.second is not None
    assert (len(found.explanation.labels), len(found.second.labels)) == (3, 5)
    assert np.array_equal(found.second.map(4), second.map(4))
    write_session(tmp_path / "s.hirescam", session)
    assert read_session(tmp_path / "s.hirescam").second is None


def test_it_holds_no_path_unless_asked(session: Session, tmp_path: Path, settings: Path) -> None:
    write_session(tmp_path / "s.hirescam", session)
    with zipfile.ZipFile(tmp_path / "s.hirescam") as archive:
        assert not any(b"Recognisable" in archive.read(name) for name in archive.namelist())
    places = settings / "places.json"
    assert stat.S_IMODE(places.stat().st_mode) == 0o600
    places.unlink()
    assert read_session(tmp_path / "s.hirescam").origin is None
    write_session(tmp_path / "p.hirescam", session, with_path=True)
    places.unlink()
    assert read_session(tmp_path / "p.hirescam").origin is not None


def test_a_ct_that_is_gone_is_not_found(session: Session, tmp_path: Path) -> None:
    write_session(tmp_path / "s.hirescam", session)
    assert find_place("a" * 64) == session.origin
    session.origin.path.rmdir()  # type: ignore[union-attr]
    assert find_place("a" * 64) is None
    assert read_session(tmp_path / "s.hirescam").origin is None


def test_a_view_without_a_result_is_kept(tmp_path: Path) -> None:
    write_session(tmp_path / "s.hirescam", Session(VIEW))
    assert read_session(tmp_path / "s.hirescam").explanation is None


def test_other_files_are_refused(session: Session, tmp_path: Path) -> None:
    (tmp_path / "text.hirescam").write_text("hello", encoding="utf-8")
    assert not is_session(tmp_path / "text.hirescam")
    with pytest.raises(InputError, match="no session file"):
        read_session(tmp_path / "text.hirescam")
    path = tmp_path / "s.hirescam"
    write_session(path, session)
    assert is_session(path)
    path.write_bytes(path.read_bytes()[:-200])
    assert not is_session(path)


def test_newer_and_damaged_ones_are_refused(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "s.hirescam"
    write_session(path, session)
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read("session.json"))
        members = {name: archive.read(name) for name in archive.namelist()}
    for change, words in (
        ({"schema_version": 9}, "schema 9"),
        ({"view": None, "has_result": "x", "path": 3}, "damaged"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("session.json", json.dumps(about | change))
            for name in set(members) - {"session.json"}:
                archive.writestr(name, members[name])
        with pytest.raises(InputError, match=words):
            read_session(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("session.json", json.dumps(about))
        archive.writestr("case.zarr/../../out.txt", "x")
    with pytest.raises(InputError, match="leads out of it"):
        read_session(path)


@pytest.mark.parametrize("inside", [Path(), Path("series"), Path("..")])
def test_moved_together_with_its_ct_it_finds_it_again(
    tmp_path: Path, settings: Path, explanation_factory: Callable[..., Explanation], inside: Path
) -> None:
    study = tmp_path / "study" / "session"
    ct = (study / inside / "Recognisable Name").resolve()
    ct.mkdir(parents=True)
    for n in range(3):
        (ct / f"{n}.dcm").write_bytes(bytes([n]) * 200_000)
    (ct.parent / "other.dcm").write_bytes(bytes(600_000))
    study.mkdir(exist_ok=True)
    result = explanation_factory(n_labels=3, n_groups=4)
    write_session(study / "s.hirescam", Session(VIEW, result, "a" * 64, Origin(ct, 2, True)))
    moved = tmp_path / "moved"
    (tmp_path / "study").rename(moved)
    found = read_session(moved / "session" / "s.hirescam")
    expected = moved / "session" / inside / "Recognisable Name"
    assert found.origin == Origin(expected.resolve(), 2, True)
    assert found.view == VIEW
    (expected / "1.dcm").write_bytes(bytes([9]) * 200_000)
    assert read_session(moved / "session" / "s.hirescam").origin is None


def test_a_report_goes_with_it(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "s.hirescam"
    write_session(path, session)
    report = json.loads((tmp_path / "s.hirescam.report.json").read_text(encoding="utf-8"))
    assert report["file"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report["model"]["sha256"] == session.explanation.model.sha256  # type: ignore[union-attr]
    assert report["versions"]["python"]
    assert report["request"]["view"] == VIEW
    assert {"devices", "seconds", "issues", "time", "precision"} <= set(report)
    assert "Recognisable" not in json.dumps(report)
