"""Killed at any moment, stopped by Ctrl-C or from within: what goes on is the run that was never interrupted."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.boards import scalars
from training.fit import ArrayCases, TrainConfig, train
from training.fit.config import merge
from training.fit.log import STEPS_FILE
from training.fit.saving import BEST_FILE, LAST_FILE, STATE_FILE
from training.issues import Cancelled, InputError

SETTINGS = {
    "model": {"architecture": "axialnet-local", "width": 4, "cut_stage": 2, "custom_channels": [8, 4]},
    "input": {"spacing_mm": [4, 4, 4], "shape": [6, 32, 32]},
    "augment": {"hu_noise": 10},
    "run": {"epochs": 3, "validation_share": 0.25, "device": "cpu", "threads": 1, "tensorboard": False},
}
CONFIG = merge(TrainConfig(), SETTINGS)
N_STEPS = 36


def cases_of(shape: tuple[int, int, int] = (6, 32, 32), n: int = 16) -> ArrayCases:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (n, 2)).astype(np.float32)
    ids = tuple(f"case-{i}" for i in range(n))
    return ArrayCases(rng.integers(-1000, 800, (n, *shape)).astype(np.int16), targets, ("nodule", "mass"), ids)


def same(first: Path, second: Path) -> bool:
    names = (LAST_FILE, BEST_FILE, STATE_FILE)
    pairs = [(load_file(first / name), load_file(second / name)) for name in names]
    return all(a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in pairs)


def started(output: Path, config: TrainConfig, resume: bool) -> Any:
    """Return a process that trains; started from a clean one, into which the libraries are loaded once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.fit"])
    process = context.Process(target=train, args=(config, cases_of(), output, None, resume))
    process.start()
    return process


def wait_for_steps(output: Path, count: int, process: Any) -> None:
    """Wait until ``count`` steps are in the log."""
    log, deadline = output / STEPS_FILE, time.monotonic() + 60
    while not log.is_file() or log.read_bytes().count(b"\n") <= count:
        assert process.is_alive(), "it ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_killed_again_and_again_it_comes_to_the_same_bits(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    watched = merge(CONFIG, {"run": {"tensorboard": True}})
    train(watched, cases_of(), whole)
    often = merge(watched, {"run": {"save_minutes": 1e-6}})  # after every step: kills fall into writing too
    for kills, steps in enumerate((2, 5, 14, 29)):
        process = started(parts, often, resume=kills > 0)
        wait_for_steps(parts, steps, process)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert (parts / STATE_FILE).is_file()
    trained = train(often, cases_of(), parts, resume=True)
    assert same(whole, parts)
    assert trained.place.steps_done == N_STEPS
    steps = [line.split(",")[1] for line in (parts / STEPS_FILE).read_text(encoding="utf-8").splitlines()[1:]]
    assert steps == [str(step + 1) for step in range(N_STEPS)]
    assert {path.name for path in parts.iterdir()} == {path.name for path in whole.iterdir()}
    assert scalars(parts) == scalars(whole)
    assert scalars(parts)["step/loss"] == list(range(1, N_STEPS + 1))
    assert scalars(parts)["epoch/validation_loss"] == [12, 24, 36]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_first(tmp_path: Path, number: signal.Signals) -> None:
    slow = merge(CONFIG, {"run": {"save_minutes": 0.0, "epochs": 2}})
    whole = train(slow, cases_of(), tmp_path / "whole").place
    process = started(tmp_path / "parts", slow, resume=False)
    wait_for_steps(tmp_path / "parts", 3, process)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == 1  # by Cancelled, not by the signal
    assert (tmp_path / "parts" / STATE_FILE).is_file()
    parts = train(slow, cases_of(), tmp_path / "parts", resume=True).place
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert [r.training_loss for r in parts.history] == [r.training_loss for r in whole.history]


@pytest.mark.parametrize("stop_at", range(0, 11, 2))
def test_stopped_at_any_point_it_goes_on_there(tmp_path: Path, stop_at: int) -> None:
    config = merge(CONFIG, {"run": {"epochs": 1, "accumulate": 2}, "optimizer": {"name": "adamw"}})
    train(config, cases_of(), tmp_path / "whole")
    asked = iter(range(11))  # before 6 steps and 4 validation cases; the last is never asked
    with pytest.raises(Cancelled) if stop_at < 10 else nullcontext():
        train(config, cases_of(), tmp_path / "parts", cancelled=lambda: next(asked) == stop_at)
    train(config, cases_of(), tmp_path / "parts", resume=True)
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_dropout_is_drawn_again_as_it_was(tmp_path: Path) -> None:
    config = merge(
        CONFIG,
        {
            "model": {"architecture": "conv3d", "cut_stage": 0, "custom_channels": [8, 8]},
            "input": {"shape": [81, 81, 81]},
            "run": {"epochs": 1, "save_minutes": 1e-6},
        },
    )
    cases = cases_of((81, 81, 81), 6)
    torch.manual_seed(1)
    train(config, cases, tmp_path / "whole")
    torch.manual_seed(2)
    before = torch.get_rng_state()
    asked = iter(range(1000))
    with pytest.raises(Cancelled):
        train(config, cases, tmp_path / "parts", cancelled=lambda: next(asked) == 2)
    train(config, cases, tmp_path / "parts", resume=True)
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert torch.equal(before, torch.get_rng_state())


def test_how_a_run_is_watched_may_change_but_not_what_it_is(tmp_path: Path) -> None:
    config = merge(CONFIG, {"run": {"epochs": 1}})
    train(config, cases_of(), tmp_path)
    watched = merge(config, {"run": {"workers": 0, "save_minutes": 3.0, "tensorboard": True}})
    assert train(watched, cases_of(), tmp_path, resume=True).place.epochs_done == 1
    with pytest.raises(InputError, match=r"other settings \(run\)"):
        train(merge(config, {"run": {"accumulate": 2}}), cases_of(), tmp_path, resume=True)
    with pytest.raises(InputError, match=r"other settings \(training_cases, validation_cases\)"):
        train(config, cases_of(n=12), tmp_path, resume=True)
