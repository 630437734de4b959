"""``hirescam``: the commands of ``training.cli`` and two that open a window, which load napari only when they run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner, Result

from hirescam_napari.cli import create
from tests.stores import make_store
from training.cli import create_app


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What reached the viewer; the viewer itself is not loaded."""
    calls: list[tuple[object, ...]] = []
    session, demo = ModuleType("hirescam_napari._session"), ModuleType("hirescam_napari._demo")
    session.open_viewer = lambda *arguments: calls.append(arguments)  # type: ignore[attr-defined]
    demo.run_demo = lambda *arguments: calls.append(arguments)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, session.__name__, session)
    monkeypatch.setitem(sys.modules, demo.__name__, demo)
    monkeypatch.setenv("DISPLAY", ":0")
    return calls


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(create(), [str(argument) for argument in arguments])


def test_every_command_of_training_is_there_and_two_more() -> None:
    plain = {command.callback.__name__ for command in create_app().registered_commands if command.callback}
    whole = {command.callback.__name__ for command in create().registered_commands if command.callback}
    assert whole == plain | {"view", "demo"}
    assert {"explain", "phantom", "models"} <= plain
    for name in whole:
        shown = run(name.replace("_", "-"), "--help")
        assert shown.exit_code == 0
        assert "--json" in shown.stdout


def test_view_hands_over_paths_and_model(opened: list[tuple[object, ...]], tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_text("x")
    assert run("view", tmp_path / "a.nii", tmp_path, "--model", "axialnet:random").exit_code == 0
    assert opened == [([tmp_path / "a.nii", tmp_path], "axialnet:random", None, None)]


def test_view_hands_over_a_report_that_is_there(opened: list[tuple[object, ...]], tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("No nodule.")
    assert run("view", tmp_path, "--report", tmp_path / "report.txt").exit_code == 0
    assert opened == [([tmp_path], "demo", None, tmp_path / "report.txt")]
    assert run("view", tmp_path, "--report", tmp_path / "gone.txt").exit_code == 1


def test_view_says_which_file_is_missing(opened: list[tuple[object, ...]], tmp_path: Path) -> None:
    result = run("view", tmp_path / "gone.nii", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["issues"][0]["file"] == "gone.nii"
    assert opened == []


def test_demo_with_and_without_a_window(opened: list[tuple[object, ...]], tmp_path: Path) -> None:
    assert run("demo").exit_code == 0
    assert run("demo", "--headless", "--out", tmp_path).exit_code == 0
    assert opened == [(False, None), (True, tmp_path)]
    assert run("demo", "--headless").exit_code == 2


def test_without_display_or_qt_there_are_words(
    opened: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    refused = run("view", tmp_path)
    assert (refused.exit_code, "no display" in refused.stderr) == (1, True)
    assert "`hirescam export CT --out DIR`" in refused.stderr
    assert "demo" not in refused.stderr
    refused = run("audit", make_store(tmp_path / "store", n_cases=2, n_labels=2))
    assert (refused.exit_code, "`hirescam audit STORE --export DIR`" in refused.stderr) == (1, True)
    refused = run("demo")
    assert (refused.exit_code, "`hirescam demo --headless --out DIR`" in refused.stderr) == (1, True)
    assert run("demo", "--headless", "--out", tmp_path).exit_code == 0
    monkeypatch.setattr("hirescam_napari.cli.find_spec", lambda _: None)
    refused = run("view", tmp_path)
    assert (refused.exit_code, "hirescam-napari[all]" in refused.stderr) == (1, True)
    assert len(opened) == 1
