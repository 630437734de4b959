from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from hirescam_napari._case import Case
from hirescam_napari._engine import IsCancelled, Progress
from hirescam_napari._workers import Job, load_case, series_work, with_explanation
from training.cohort.store import write_case
from training.issues import Cancelled, InputError


def write_npz(path: Path, case: Case) -> Path:
    assert case.volume is not None
    np.savez_compressed(path, ct=case.volume.hu)
    return path


def test_a_job_tells_progress_and_value(qtbot: QtBot) -> None:
    told: list[tuple[int, int, str]] = []

    def work(progress, _cancelled):  # type: ignore[no-untyped-def]
        progress(1, 2, "half")
        return threading.current_thread() is threading.main_thread()

    job = Job(work, "Testing")
    job.progressed.connect(lambda *args: told.append(args))
    with qtbot.waitSignal(job.succeeded) as done:
        job.start()
    assert done.args == [False]
    assert told == [(1, 2, "half")]
    assert not job.running


def test_a_failure_arrives_as_it_was_raised(qtbot: QtBot) -> None:
    def work(_progress, _cancelled):  # type: ignore[no-untyped-def]
        raise KeyError("gone")

    job = Job(work, "Testing")
    with qtbot.waitSignal(job.failed) as done:
        job.start()
    assert isinstance(done.args[0], KeyError)


def test_cancelling_is_told_at_once_and_what_comes_later_is_dropped(qtbot: QtBot) -> None:
    go_on = threading.Event()

    def work(_progress, _cancelled):  # type: ignore[no-untyped-def]
        go_on.wait(10)
        return "too late"

    job = Job(work, "Testing")
    values: list[object] = []
    job.succeeded.connect(values.append)
    job.start()
    with qtbot.waitSignal(job.cancelled):
        job.cancel()
    go_on.set()
    assert job.wait(10)
    qtbot.wait(50)
    assert values == []


def test_progress_is_where_work_is_stopped(qtbot: QtBot) -> None:
    def work(progress, cancelled):  # type: ignore[no-untyped-def]
        while not cancelled():
            pass
        with pytest.raises(Cancelled):
            progress(1, 2, "more")
        raise Cancelled

    job = Job(work, "Testing")
    job.start()
    job.cancel()
    assert job.wait(10)


def test_a_ct_becomes_a_case(tmp_path: Path, ct_case: Case) -> None:
    loaded = load_case([write_npz(tmp_path / "a.npz", ct_case)])
    assert loaded.volume is not None
    assert ct_case.volume is not None
    assert np.array_equal(loaded.volume.hu, ct_case.volume.hu)
    assert loaded.explanation is None


def test_a_stored_result_opens_alone_and_with_its_own_ct_only(tmp_path: Path, case: Case) -> None:
    assert case.explanation is not None
    write_case(tmp_path / "case.zarr", case.explanation)
    alone = load_case([tmp_path / "case.zarr"])
    assert alone.volume is None
    assert alone.explanation is not None
    assert np.array_equal(alone.explanation.z, case.explanation.z)
    with_ct = load_case([write_npz(tmp_path / "a.npz", case), tmp_path])
    assert with_ct.volume is not None
    assert with_ct.explanation is not None


def test_a_result_of_another_ct_is_refused(case: Case) -> None:
    from dataclasses import replace

    assert case.explanation is not None
    other = replace(case.explanation, provenance={"pixels_sha256": "of another"})
    with pytest.raises(InputError, match="another CT"):
        with_explanation(replace(case, explanation=None), other)


def test_two_cts_are_one_too_many(tmp_path: Path, ct_case: Case) -> None:
    paths = [write_npz(tmp_path / name, ct_case) for name in ("a.npz", "b.npz")]
    with pytest.raises(InputError, match="2 CTs"):
        load_case(paths)


def test_listing_series_gives_thumbnails(tmp_path: Path, ct_case: Case) -> None:
    path = write_npz(tmp_path / "a.npz", ct_case)
    series = series_work(path)(lambda *_: None, lambda: False)
    assert series[0].thumbnail is not None  # type: ignore[index]


def test_progress_is_told_a_few_times_a_second_and_at_the_end(qtbot: QtBot) -> None:
    def busy(progress: Progress, _cancelled: IsCancelled) -> str:
        for done in range(20_001):
            progress(done, 20_000, "counting")
        return "done"

    seen: list[int] = []
    job = Job(busy, "Counting")
    job.progressed.connect(lambda done, _total, _stage: seen.append(done))
    with qtbot.waitSignal(job.succeeded, timeout=60_000):
        job.start()
    assert (seen[0], seen[-1]) == (0, 20_000)
    assert len(seen) < 2_000
