"""The page docs/training.md, command by command, on phantoms of few voxels."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.cli import create_app
from training.cohort.phantom import PhantomGrid, write_cohort
from training.cohort.store import read_case
from training.fit.config import load_config
from training.models import load_model

PAGE = Path(__file__).resolve().parents[3] / "docs" / "training.md"
GRID = PhantomGrid((24, 48, 48), (13.5, 7.0, 7.0))
SMALL = ("--set", "input.shape=[24, 48, 48]", "--set", "input.spacing_mm=[13.5, 7.0, 7.0]", "--set", "model.width=4")


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return [shlex.split(line)[1:] for line in "\n".join(blocks).splitlines() if line]


def hirescam(*words: str) -> str:
    result = CliRunner().invoke(create_app(), list(words))
    assert result.exit_code == 0, (words, result.output)
    return result.stdout


def test_every_command_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = commands()
    assert [words[0] for words in found] == ["phantom", "check", "train", "explain", "view", "train", "train", "train"]
    for name, *words in found:
        if name == "phantom":
            assert words[1:] == ["--n", "40", "--size", "small"]
            write_cohort(words[0], 7, 0, GRID)
        elif name == "view":
            ct, result = words
            assert Path(ct).is_file()
            assert read_case(result).has_maps
        else:
            is_new_run = "--output" in words and "--resume" not in words
            hirescam(name, *words, *(SMALL if is_new_run else ()))
    assert load_config(Path("runs/mask/config.toml")).loss.lambda_ == 0.5
    assert load_model("runs/mask/best.safetensors").metadata.training["epochs_done"] <= 3


def test_the_tables_of_the_page_are_true() -> None:
    text = PAGE.read_text(encoding="utf-8")
    settings = hirescam("train", "--print-settings")
    sections = dict(re.findall(r"\[(\w+)\]\n(.*?)(?=\n\[|\Z)", settings, re.S))
    for section, names in re.findall(r"`(model|input|loss|run|augment|optimizer)\.([a-z_]+)", text):
        assert re.search(rf"^{names} = ", sections[section], re.M), (section, names)
    for name in re.findall(r"`(mask_[a-z]+)`", text):
        assert f"\n{name} = " in sections["loss"], name
