"""The page docs/ct-rate.md, command by command, on a miniature: what each command runs does what the page says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.cohort.check import run as check
from training.cohort.output import write_result
from training.cohort.sources import CtRate, open_cohort, open_folder
from training.cohort.store import read_case
from training.explain import explain
from training.fit import TrainConfig, train
from training.fit.config import merge
from training.fit.network import input_spec
from training.io import read_ct
from training.labels import label_names
from training.models import load_model
from training.preprocess import InputSpec

PAGE = Path(__file__).resolve().parents[4] / "docs" / "ct-rate.md"

SMALL = {
    "model": {"architecture": "axialnet-local", "width": 4, "cut_stage": 2, "custom_channels": [4]},
    "input": {"spacing_mm": [3, 1.5, 1.5], "shape": [12, 24, 24]},
    "run": {"epochs": 1, "device": "cpu", "threads": 1},
}


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("hirescam ")]


def _check(data: str) -> None:
    report = check(Path(data))
    assert report.usable
    assert report.layout == "CT-RATE"
    assert report.cases == {"train": 4, "valid": 1}


def _train(*words: str) -> None:
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert options.pop("--preset") == "paper"
    config, output = merge(TrainConfig(), SMALL), Path(options["--output"])
    splits = open_folder(Path(options["--data"]), input_spec(config), output / "prepared")
    trained = train(config, splits["train"], output, splits["valid"])
    assert trained.best.name == "best.safetensors"
    assert load_model(trained.best).labels == label_names()


def _explain(path: str, *words: str) -> None:
    options = dict(zip(words[::2], words[1::2], strict=True))
    case = explain(load_model(options["--model"]), read_ct(path), "cpu")
    write_result(Path(options["--out"]), case, {})


def _view(folder: str) -> None:
    case = read_case(folder)
    assert case.residual.max() < 1e-3
    assert np.isfinite(case.map("lung nodule")).all()


STEPS: dict[str, Callable[..., None]] = {"check": _check, "train": _train, "explain": _explain, "view": _view}


def test_every_command_of_the_page(ct_rate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ct_rate.parent)
    found = commands()
    assert [words[0] for words in found] == list(STEPS)
    for name, *words in found:
        STEPS[name](*words)


def test_the_python_of_the_page(ct_rate: Path, tmp_path: Path) -> None:
    source = CtRate(ct_rate, validation_share=0.1)
    splits = open_cohort(source, InputSpec((3.0, 1.5, 1.5), (12, 24, 24)), tmp_path / "prepared")
    assert set(splits) == {"train", "test"} or set(splits) == {"train", "valid", "test"}
    case = splits["train"][0]
    assert case.targets.shape == (80,)
    assert set(case.regions.present) <= set(label_names())
