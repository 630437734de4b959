"""The same command under torchrun: two processes over gloo come to the weights of one that accumulates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from training.cli import create_app
from training.cohort.phantom import PhantomGrid, write_cohort

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = (
    *("input.shape=[24, 48, 48]", "input.spacing_mm=[13.5, 7.0, 7.0]", "model.width=4", "run.batch_size=1"),
    *("run.threads=1", "loss.mask=authors", "augment.flip_probability=0.5", "run.epochs=2"),
    "optimizer.norm_frozen_after=0.0",  # each process keeps running statistics of its own cases
)


def test_two_processes_are_one_that_accumulates(tmp_path: Path) -> None:
    grid = PhantomGrid((24, 48, 48), (13.5, 7.0, 7.0))
    data = write_cohort(tmp_path / "phantoms", 6, 0, grid)  # five to train on: the last step has one case
    words = ["train", "--data", str(data), "--preset", "tiny", "--cache", str(tmp_path / "prepared")]
    words += [part for change in SETTINGS for part in ("--set", change)]
    one = CliRunner().invoke(create_app(), [*words, "--set", "run.accumulate=2", "--output", str(tmp_path / "one")])
    assert one.exit_code == 0, one.output
    torchrun = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "training.cli", *words, "--output", str(tmp_path / "two"), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"best_epoch_index"') == 1  # the main process speaks alone
    first, second = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-3, atol=1e-4)
    assert "distributed_backend=gloo" in done.stderr
