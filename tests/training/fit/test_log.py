"""Logs: rows that can be read, nothing twice after a resumption, and times in words."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from training.fit.log import (
    EPOCHS_FILE,
    STEPS_FILE,
    TENSORBOARD_FOLDER,
    Clock,
    RunLog,
    StepRecord,
    duration,
    epoch_words,
)
from training.fit.state import EpochRecord, Place

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
    assert [row["step"] for row in found] == ["0", "1", "2", "3", "4"]
    assert (found[0]["mask_loss"], found[4]["mask_loss"]) == ("", "0.25")
    assert set(found[0]) == set(StepRecord.__dataclass_fields__)
    assert not (tmp_path / TENSORBOARD_FOLDER).exists()


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
