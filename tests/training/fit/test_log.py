"""Logs: rows that can be read, nothing twice after a resumption, and times in words."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.boards import scalars
from training.fit.log import (
    EPOCHS_FILE,
    STEPS_FILE,
    TENSORBOARD_FOLDER,
    Clock,
    RunLog,
    StepRecord,
    duration,
    epoch_words,
    table,
)
from training.fit.state import EpochRecord, Place
from training.issues import InputError

STEP = StepRecord(0, 0, 2, 0.7, None, 1e-3, 0.5, 0.1)
EPOCH = EpochRecord(0, 0.7, None, 0.6, 1e-3, 12.0, 11.0, 3.5, 0.04)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_steps_beyond_the_resumed_place_are_dropped(tmp_path: Path) -> None:
    log = RunLog(tmp_path, Place(), tensorboard=False)
    for step in range(6):
        log.step(replace(STEP, step=step))
    log.close()
    path = tmp_path / STEPS_FILE
    path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")  # killed while writing
    log = RunLog(tmp_path, Place(steps_done=4), tensorboard=False)
    log.step(replace(STEP, step=4, mask_loss=0.25))
    log.close()
    found = rows(path)
    assert [row["step"] for row in found] == ["1", "2", "3", "4", "5"]
    assert {row["epoch"] for row in found} == {"1"}
    assert (found[0]["mask_loss"], found[4]["mask_loss"]) == ("", "0.25")
    assert set(found[0]) == set(StepRecord.__dataclass_fields__)
    assert not (tmp_path / TENSORBOARD_FOLDER).exists()


def test_steps_that_the_log_lost_are_told(tmp_path: Path) -> None:
    logged(tmp_path, 0, 6, Place()).close()
    path = tmp_path / STEPS_FILE
    whole, told = path.read_bytes(), list[str]()
    RunLog(tmp_path, Place(steps_done=6), False, told.append).close()
    assert told == []
    assert path.read_bytes() == whole
    path.write_bytes(whole[: len(whole) // 2])
    RunLog(tmp_path, Place(steps_done=6), False, told.append).close()
    n_left = len(rows(path))
    assert 0 < n_left < 6
    assert len(told) == 1
    assert f"steps.csv: {6 - n_left} of 6 steps are missing from it or damaged, the first is {n_left + 1}" in told[0]


def test_a_damaged_log_of_steps_keeps_its_whole_rows(tmp_path: Path) -> None:
    logged(tmp_path, 0, 4, Place()).close()
    path, told = tmp_path / STEPS_FILE, list[str]()
    whole = path.read_bytes()
    path.write_bytes(b"\xff\0" + whole)
    RunLog(tmp_path, Place(steps_done=4), False, told.append).close()
    assert path.read_bytes() == whole
    assert told == []
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b"0.7", b"0.\xff"), *lines[3:], lines[4]]))
    RunLog(tmp_path, Place(steps_done=4), True, told.append).close()
    assert [row["step"] for row in rows(path)] == ["1", "3", "4"]
    assert "1 of 4 steps is missing from it or damaged, the first is 2" in told[0]


def test_a_file_in_place_of_tensorboards_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / TENSORBOARD_FOLDER).write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="tensorboard: is a file, where a folder"):
        RunLog(tmp_path, Place(), tensorboard=True)
    assert (tmp_path / TENSORBOARD_FOLDER).read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / STEPS_FILE).exists()


def test_a_new_run_starts_new_logs_and_tensorboard_gets_its_files(tmp_path: Path) -> None:
    for _ in range(2):
        log = RunLog(tmp_path, Place(), tensorboard=True)
        log.step(STEP)
        log.epoch(Place(1, 1, 0, 0.6, (EPOCH,)))
        log.close()
    assert len(rows(tmp_path / STEPS_FILE)) == 1
    assert rows(tmp_path / EPOCHS_FILE)[0]["data_wait_share"] == "0.04"
    events = b"".join(path.read_bytes() for path in (tmp_path / TENSORBOARD_FOLDER).iterdir())
    assert b"step/loss" in events
    assert b"epoch/validation_loss" in events
    assert b"mask_loss" not in events


def older_log(folder: Path, n_steps: int) -> None:
    """Write logs as an earlier version did, which counted from 0: two steps an epoch."""
    steps = [asdict(replace(STEP, epoch=step // 2, step=step)) for step in range(n_steps)]
    (folder / STEPS_FILE).write_text(table(StepRecord, steps), encoding="utf-8")
    (folder / EPOCHS_FILE).write_text(table(EpochRecord, [asdict(EPOCH)]), encoding="utf-8")
    (folder / TENSORBOARD_FOLDER).mkdir()
    (folder / TENSORBOARD_FOLDER / "old").write_bytes(b"")


def test_a_run_with_a_log_from_0_goes_on_with_one_from_1(tmp_path: Path) -> None:
    older_log(tmp_path, 5)
    history = (EPOCH, replace(EPOCH, epoch=1))
    log = RunLog(tmp_path, Place(2, 4, 0, 0.6, history), tensorboard=True)
    log.step(replace(STEP, epoch=2, step=4))
    log.epoch(Place(3, 5, 0, 0.6, (*history, replace(EPOCH, epoch=2))))
    log.close()
    found = rows(tmp_path / STEPS_FILE)
    assert [(row["epoch"], row["step"]) for row in found] == [
        ("1", "1"),
        ("1", "2"),
        ("2", "3"),
        ("2", "4"),
        ("3", "5"),
    ]
    assert [row["epoch"] for row in rows(tmp_path / EPOCHS_FILE)] == ["1", "2", "3"]
    logged = scalars(tmp_path)
    assert logged["step/loss"] == [1, 2, 3, 4, 5]
    assert logged["epoch/training_loss"] == [2, 4, 5]
    log = RunLog(tmp_path, Place(3, 5, 0, 0.6, (*history, replace(EPOCH, epoch=2))), tensorboard=False)
    log.close()
    assert rows(tmp_path / STEPS_FILE) == found


def test_steps_and_epochs_stand_at_the_same_count(tmp_path: Path) -> None:
    log = RunLog(tmp_path, Place(), tensorboard=True)
    log.step(STEP)
    log.step(replace(STEP, step=1))
    log.epoch(Place(1, 2, 0, 0.6, (EPOCH,)))
    log.close()
    assert scalars(tmp_path)["step/loss"] == [1, 2]
    assert scalars(tmp_path)["epoch/validation_loss"] == [2]


def logged(folder: Path, start: int, stop: int, place: Place) -> RunLog:
    """Return a log that went on from ``place`` and got the steps from ``start`` on; it is not closed, as if killed."""
    log = RunLog(folder, place, tensorboard=True)
    for step in range(start, stop):
        log.step(replace(STEP, step=step, epoch=step // 5))
    return log


def test_a_kill_takes_nothing_from_tensorboard(tmp_path: Path) -> None:
    logs = [logged(tmp_path, 0, 13, Place())]
    assert scalars(tmp_path)["step/loss"] == list(range(1, 14))
    first = replace(EPOCH, epoch=0)
    # Killed at once after the state of step 10 was kept: the epoch that it ended was not logged yet.
    place = Place(2, 10, 0, 0.6, (first, replace(EPOCH, epoch=1)))
    logs += [logged(tmp_path, 10, 12, place), logged(tmp_path, 10, 10, place), logged(tmp_path, 10, 15, place)]
    found = scalars(tmp_path)
    assert found["step/loss"] == found["step/seconds"] == list(range(1, 16))
    assert found["epoch/training_loss"] == [10]
    assert len(list((tmp_path / TENSORBOARD_FOLDER).iterdir())) == len(logs)
    for log in logs:
        log.close()


def test_a_run_that_was_killed_before_its_first_state_starts_tensorboard_anew(tmp_path: Path) -> None:
    logs = [logged(tmp_path, 0, 4, Place()), logged(tmp_path, 0, 2, Place())]
    assert scalars(tmp_path)["step/loss"] == [1, 2]
    for log in logs:
        log.close()


def test_without_its_files_tensorboard_gets_all_that_was_logged(tmp_path: Path) -> None:
    place = Place(1, 5, 0, 0.6, (EPOCH,))
    log = RunLog(tmp_path, Place(), tensorboard=False)
    for step in range(5):
        log.step(replace(STEP, step=step))
    log.close()
    logged(tmp_path, 5, 7, place).close()
    assert scalars(tmp_path)["step/loss"] == list(range(1, 8))
    assert scalars(tmp_path)["epoch/validation_loss"] == [5]


def test_processes_that_do_not_write_write_nothing(tmp_path: Path) -> None:
    log = RunLog(None, Place(), tensorboard=True)
    log.step(STEP)
    log.epoch(Place(1, 1, 0, 0.6, (EPOCH,)))
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_the_time_that_is_left_follows_from_this_process_alone() -> None:
    now = iter([100.0, 130.0])
    clock = Clock(lambda: next(now), steps_done=10)
    assert clock.left_seconds(10, 100) is None
    assert clock.left_seconds(25, 100) == pytest.approx(150.0)
    assert [duration(s) for s in (12.3, 600.0, 9000.0)] == ["12 s", "10 min", "2.5 h"]


def test_an_epoch_in_words() -> None:
    place = Place(1, 5, 0, 0.6, (EPOCH,))
    words = "epoch 1 of 4: loss 0.7, validation 0.6 (best), 3.5 CT/s, waited for data 4 %, at most 10 min left"
    assert epoch_words(place, 4, 600.0) == words
    bare = replace(place, history=(replace(EPOCH, validation_loss=None),))
    assert epoch_words(bare, 1, 0.0) == "epoch 1 of 1: loss 0.7, 3.5 CT/s, waited for data 4 %"
