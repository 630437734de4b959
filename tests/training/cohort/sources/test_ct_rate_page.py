"""The page docs/ct-rate.md, command by command, on a miniature: what each command runs does what the page says."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from training.cli import create_app
from training.cohort.results import find_store, open_store
from training.cohort.sources import CtRate, open_cohort
from training.cohort.store import read_case
from training.labels import label_names
from training.models import load_model
from training.preprocess import InputSpec

PAGE = Path(__file__).resolve().parents[4] / "docs" / "ct-rate.md"

SMALL = (
    *("model.architecture=axialnet-local", "model.width=4", "model.custom_channels=[4]"),
    *("input.spacing_mm=[3, 1.5, 1.5]", "input.shape=[12, 24, 24]"),
    *("run.epochs=1", "run.device=cpu", "run.threads=1"),
)
"""The miniature is 12 x 24 x 24 voxels: everything else is as the page says."""


def hirescam(*words: str) -> Result:
    result = CliRunner().invoke(create_app(), list(words))
    assert result.exit_code == 0, result.output
    return result


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("hirescam ")]


def _check(*words: str) -> None:
    report = json.loads(hirescam("check", *words, "--json").stdout)
    assert report["usable"]
    assert report["layout"] == "CT-RATE"
    assert report["cases"] == {"train": 4, "valid": 1}


def _train(*words: str) -> None:
    options = dict(zip(words[::2], words[1::2], strict=True))
    hirescam("train", *words, *(part for change in SMALL for part in ("--set", change)))
    assert load_model(Path(options["--output"]) / "best.safetensors").labels == label_names()
    kept = {path.name for path in Path(options["--cache"]).iterdir()}
    assert ("organ-cells" in kept) == (options["--preset"] == "paper-mask")


def _explain(*words: str) -> None:
    hirescam("explain", *words)


def _batch(*words: str) -> None:
    hirescam("batch", *words, "--workers", "0")
    store = open_store(words[-1])
    assert store.splits == ("valid",)
    assert store.volume(store.cases[0]) is not None
    assert "Emphysema" in (store.report(store.cases[0]) or "")
    assert list((store.path / "labels").iterdir())


def _evaluate(*words: str) -> None:
    hirescam("evaluate", *words, "--resamples", "5")
    assert (Path(words[-1]) / "evaluation.html").is_file()


def _view(folder: str) -> None:
    store = find_store(folder)
    case = read_case(folder) if store is None else open_store(store).explanation(open_store(store).cases[0])
    assert case.residual.max() < 1e-3
    assert np.isfinite(case.map("lung nodule")).all()


STEPS: dict[str, Callable[..., None]] = {
    "check": _check,
    "train": _train,
    "explain": _explain,
    "view": _view,
    "batch": _batch,
    "evaluate": _evaluate,
}


def test_every_command_of_the_page(ct_rate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ct_rate.parent)
    found = commands()
    assert list(dict.fromkeys(words[0] for words in found)) == list(STEPS)
    for name, *words in found:
        STEPS[name](*words)


def test_the_python_of_the_page(ct_rate: Path, tmp_path: Path) -> None:
    source = CtRate(ct_rate, validation_share=0.1)
    splits = open_cohort(source, InputSpec((3.0, 1.5, 1.5), (12, 24, 24)), tmp_path / "prepared")
    assert set(splits) == {"train", "test"} or set(splits) == {"train", "valid", "test"}
    case = splits["train"][0]
    assert case.targets.shape == (80,)
    assert set(case.regions.present) <= set(label_names())
