"""The command line: reports, exit codes, JSON, and nothing half-written whatever happens."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import rich.progress
from typer.core import TyperGroup, TyperOption
from typer.main import get_command
from typer.testing import CliRunner, Result

from training.cli import _print_case, create_app
from training.cohort.store import read_case
from training.console import progress_bars, waiting, wrote
from training.explain import explain
from training.explain.result import Explanation
from training.geometry import Geometry
from training.io import read_ct
from training.io.series import SeriesChoiceNeeded, SeriesInfo
from training.io.write import write_nifti
from training.issues import error, warning
from training.labels import display_name
from training.models import build_model, load_model
from training.models.checkpoint import save_checkpoint
from training.preprocess import InputSpec
from training.words import percent

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("nodule", "mass", "pleural effusion", "cardiomegaly")
NEEDED = {
    "schema_version", "case", "model", "input_spec", "device", "precision", "seconds", "peak_rss_bytes", "labels",
    "issues",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CT and a tiny checkpoint."""
    made = tmp_path_factory.mktemp("inputs")
    hu = np.full((16, 24, 24), -1000, np.int16)
    hu[:, 4:-4, 3:-3] = 40
    hu[:, 8:-8, 6:10] = hu[:, 8:-8, -10:-6] = -850
    hu[:, :2] = -2048  # padding, which is warned of with the name of the file
    write_nifti(made / "Doe_Jane.nii.gz", hu, Geometry.canonical(hu.shape, (20.0, 15.0, 15.0), (-170.0, -170.0, 300.0)))
    spec = InputSpec(spacing_mm=(20.0, 5.0, 5.0), shape=(12, 64, 64))
    save_checkpoint(made / "tiny.safetensors", build_model("axialnet-local", LABELS, spec, width=4))
    return made


@pytest.fixture(autouse=True)
def salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIRESCAM_SALT", "tests")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


def run_explain(folder: Path, out: Path, *more: str | Path) -> Result:
    return run("explain", folder / "Doe_Jane.nii.gz", "--model", folder / "tiny.safetensors", "-o", out, *more)


def test_explain_writes_report_and_case(folder: Path, tmp_path: Path) -> None:
    result = run_explain(folder, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == ["case.zarr", "report.json"]
    assert "not for clinical use" in result.stdout
    assert f"wrote {tmp_path / 'out'}: case.zarr/, report.json" in result.stderr.splitlines()
    assert "trunk" in result.stderr
    assert "trunk" not in result.stdout


def test_the_report_says_what_the_library_says(folder: Path, tmp_path: Path) -> None:
    assert run_explain(folder, tmp_path / "out").exit_code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report.keys() >= NEEDED
    assert report["seconds"].keys() >= {"read", "preprocess", "trunk", "maps", "write"}
    assert min(report["seconds"].values()) > 0
    assert report["model"].keys() >= {"name", "sha256", "architecture", "guarantee"}
    assert report["peak_rss_bytes"] > 1e7
    case = explain(load_model(folder / "tiny.safetensors"), read_ct(folder / "Doe_Jane.nii.gz"), device="cpu")
    assert [one["name"] for one in report["labels"]] == list(LABELS)
    np.testing.assert_allclose([one["score"] for one in report["labels"]], case.scores, rtol=1e-5)
    np.testing.assert_allclose([one["probability"] for one in report["labels"]], case.probabilities, rtol=1e-5)
    assert max(one["completeness_residual"] for one in report["labels"]) < 1e-4
    assert [one["top_group_index"] for one in report["labels"]] == [case.top_slice(name) for name in LABELS]
    by_index = [case.image_slice(case.top_slice(name)) for name in LABELS]
    assert [one["top_slice_index"] for one in report["labels"]] == by_index
    assert [one["display_name"] for one in report["labels"]] == [display_name(name) for name in LABELS]
    by_rank = sorted(report["labels"], key=lambda one: one["rank"])
    assert [one["rank"] for one in by_rank] == [1, 2, 3, 4]
    assert [one["score"] for one in by_rank] == sorted((one["score"] for one in by_rank), reverse=True)
    np.testing.assert_allclose(read_case(tmp_path / "out").z, case.z, atol=1e-6)


def test_the_result_of_another_ct_is_never_replaced(folder: Path, tmp_path: Path) -> None:
    assert run_explain(folder, tmp_path / "out").exit_code == 0
    assert run_explain(folder, tmp_path / "out").exit_code == 0
    path = tmp_path / "out" / "report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "case": "another"}))
    refused = run_explain(folder, tmp_path / "out")
    assert refused.exit_code == 1
    assert "the result of another CT" in refused.stderr
    assert json.loads(path.read_text())["case"] == "another"


def test_json_prints_the_report_alone(folder: Path, tmp_path: Path) -> None:
    result = run_explain(folder, tmp_path / "out", "--json")
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "report.json").read_text())


def test_names_stay_out_unless_asked_for(folder: Path, tmp_path: Path) -> None:
    """Also not in any byte of the store."""
    result = run_explain(folder, tmp_path / "hidden", "--json", "--maps", "mass")
    assert "Doe" not in result.stdout + result.stderr
    codes = [issue["code"] for issue in json.loads(result.stdout)["issues"]]
    assert codes[0] == "padding"
    assert "lungs-at-end" in codes  # told before any prediction is believed
    files = [item for item in (tmp_path / "hidden").rglob("*") if item.is_file()]
    assert len(files) > 5
    for item in files:
        assert b"Doe" not in item.read_bytes()
        assert "Doe" not in str(item)
    kept = run_explain(folder, tmp_path / "kept", "--json", "--keep-names")
    assert json.loads(kept.stdout)["case"] == "Doe_Jane"


@pytest.mark.parametrize("placement", ["receptive_field", "stretch"])
def test_maps_are_written_where_they_belong(folder: Path, tmp_path: Path, placement: Any) -> None:
    result = run_explain(folder, tmp_path / "out", "--maps", "Pleural-Effusion", "--placement", placement)
    assert result.exit_code == 0, result.output
    case = read_case(tmp_path / "out")
    for method in ("hirescam", "gradcam"):
        image = nibabel.load(tmp_path / "out" / "maps" / f"pleural_effusion.{method}.nii.gz")
        values = np.asarray(image.dataobj).transpose(2, 1, 0)
        np.testing.assert_array_equal(values, case.map("pleural effusion", method))
        lps = np.diag([-1, -1, 1, 1]) @ image.affine @ [0, 0, 0, 1]
        np.testing.assert_allclose(lps[:3], case.geometry(method, placement).origin_mm, atol=1e-3)


def test_an_earlier_result_is_replaced_and_nothing_else_is(folder: Path, tmp_path: Path) -> None:
    assert run_explain(folder, tmp_path / "out", "--maps", "mass").exit_code == 0
    assert run_explain(folder, tmp_path / "out").exit_code == 0
    assert not (tmp_path / "out" / "maps").exists()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    refused = run_explain(folder, tmp_path / "out")
    assert (refused.exit_code, "left as it is" in refused.stderr) == (1, True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "report.json").write_text("{}")
    assert run_explain(folder, tmp_path / "thesis").exit_code == 1
    (tmp_path / "file").write_text("mine")
    assert run_explain(folder, tmp_path / "file").exit_code == 1
    (tmp_path / "empty").mkdir()
    assert run_explain(folder, tmp_path / "empty").exit_code == 0


def test_user_errors_have_words_and_no_traceback(folder: Path, tmp_path: Path) -> None:
    model = folder / "tiny.safetensors"
    (tmp_path / "bad.nii").write_bytes(b"junk" * 200)
    (tmp_path / "net.pt").write_bytes(b"\x80\x02}q\x00.")
    whole = model.read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    for arguments, fact in {
        ("explain", tmp_path / "gone.nii", "--model", model, "-o", tmp_path / "o"): "gone.nii: there is no such file",
        ("explain", tmp_path / "bad.nii", "--model", model, "-o", tmp_path / "o"): "bad.nii: it is none of",
        ("explain", folder / "Doe_Jane.nii.gz", "--model", "gone", "-o", tmp_path / "o"): "gone",
        ("explain", folder / "Doe_Jane.nii.gz", "--model", tmp_path / "net.pt", "-o", tmp_path / "o"): "net.pt",
        (
            "explain",
            folder / "Doe_Jane.nii.gz",
            "--model",
            tmp_path / "half.safetensors",
            "-o",
            tmp_path / "o",
        ): "half.s",
        ("explain", folder / "Doe_Jane.nii.gz", "--model", model, "-o", tmp_path / "o", "--maps", "x"): "'x'",
        ("explain", folder / "Doe_Jane.nii.gz", "--model", model, "-o", tmp_path / "bad.nii" / "o"): "not a folder",
    }.items():
        result = run(*arguments)
        code = 2 if fact in ("gone", "'x'") else 1  # a name that does not exist is wrong usage, a bad file is not
        assert result.exit_code == code, arguments
        assert fact in result.stderr
        assert "Traceback" not in result.output
        assert result.stdout == ""
        machine = run(*arguments, "--json")
        assert machine.exit_code == code
        document = json.loads(machine.stdout)
        assert document["error"]
        assert document["issues"][0]["severity"] == "error"
    assert not (tmp_path / "o").exists()


def test_several_series_are_listed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = (
        SeriesInfo(1, "Thorax lung", 300, (1.0, 0.7, 0.7), "B70f"),
        SeriesInfo(2, "Topogram", 1, None, issues=(error("localizer", "it is a localizer"),)),
    )

    def ask(*_: object) -> None:
        raise SeriesChoiceNeeded(offered)

    monkeypatch.setattr("training.io.read_ct", ask)
    result = run_explain(folder, tmp_path / "out")
    assert result.exit_code == 2
    assert "--series N" in result.stderr
    for text in ("Thorax lung", "B70f", "300", "it is a localizer"):
        assert text in result.stdout
    machine = run_explain(folder, tmp_path / "out", "--json")
    assert machine.exit_code == 2
    assert [one["loadable"] for one in json.loads(machine.stdout)["series"]] == [True, False]


def test_a_repairable_error_says_how(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.issues import InputError

    def refuse(*_: object) -> None:
        raise InputError([error("missing-slice", "slice 7 is missing", "", "x", True), warning("w", "also this")])

    monkeypatch.setattr("training.io.read_ct", refuse)
    assert "--repair" in run_explain(folder, tmp_path / "out").stderr


def test_wrong_usage_exits_with_2(folder: Path, tmp_path: Path) -> None:
    assert run("explain").exit_code == 2
    assert run_explain(folder, tmp_path / "out", "--device", "toaster").exit_code == 2
    assert run("nonsense").exit_code == 2


@pytest.mark.parametrize("words", [("--out", ""), ("--out=",), ("-o", " "), ("-o", "there", "--model", "")])
def test_an_empty_path_is_not_the_current_folder(folder: Path, words: tuple[str, ...]) -> None:
    refused = run("explain", folder / "Doe_Jane.nii.gz", *words)
    assert refused.exit_code == 2
    assert "is empty" in refused.stderr


def test_every_option_says_what_it_is_without_it() -> None:
    """A default, a word for it, "required", or an on-off switch, which is off."""
    group = get_command(create_app())
    assert isinstance(group, TyperGroup)
    silent = [
        f"{name} {option.opts[0]}"
        for name, command in group.commands.items()
        for option in command.params
        if isinstance(option, TyperOption) and option.name != "help" and not option.required and not option.is_flag
        if option.show_default is False or (option.default is None and not isinstance(option.show_default, str))
    ]
    assert silent == []


def test_bars_reach_their_end_and_never_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []

    class Watched(rich.progress.Progress):
        def stop(self) -> None:
            drawn.extend(self.tasks)
            super().stop()

    monkeypatch.setattr("rich.progress.Progress", Watched)
    with progress_bars() as progress:
        for step in ((0, 3, "reading"), (1, 3, "reading"), (0, 12, "training"), (11, 12, "training")):
            progress(*step)
        progress(1, 4, "training")  # begins again
        progress(2, 4, "training")
    assert [(task.description, task.completed, task.total) for task in drawn] == [
        ("reading", 3, 3),
        ("training", 12, 12),
        ("training", 4, 4),
    ]


def test_a_stage_that_ends_after_its_parts_has_one_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []

    class Watched(rich.progress.Progress):
        def stop(self) -> None:
            drawn.extend(self.tasks)
            super().stop()

    monkeypatch.setattr("rich.progress.Progress", Watched)
    with progress_bars() as progress:
        for step in ((0, 100, "organs"), (45, 100, "lungs"), (70, 100, "pleural space"), (100, 100, "organs")):
            progress(*step)
    assert [(task.description, task.completed) for task in drawn] == [
        ("organs", 100),
        ("lungs", 100),
        ("pleural space", 100),
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_work_of_unknown_length_is_seen_to_run(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with waiting("Reading tables."):
        pass
    told = capsys.readouterr()
    assert told.out == ""
    assert "Reading tables." in told.err
    assert ("0:00:00" in told.err) is terminal


def test_unexpected_failures_are_not_hidden(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("training.explain.explain", fail, raising=False)
    result = run_explain(folder, tmp_path / "out")
    assert isinstance(result.exception, ZeroDivisionError)


def test_full_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.cohort.output.write_case", full)
    result = run_explain(folder, tmp_path / "out")
    assert (result.exit_code, "the disk is full" in result.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["training.explain.explain", "training.cohort.output.write_report"])
def test_ctrl_c_leaves_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, interrupt, raising=False)
    result = run_explain(folder, tmp_path / "out")
    assert (result.exit_code, "nothing is half-written" in result.stderr) == (130, True)
    assert list(tmp_path.iterdir()) == []


def test_models_and_labels_are_listed() -> None:
    listed = json.loads(run("models", "--json").stdout)["models"]
    numbers = {one["name"]: one["parameters"] for one in listed}
    assert numbers.keys() >= {"axialnet:random", "axialnet-same:random", "axialnet-local:random"}
    assert numbers["axialnet:random"] == 11_176_512 + 320_384 + 46_160
    cells = {one["name"]: one["z_shape"][2:] for one in listed}
    assert (cells["axialnet-local:random"], cells["axialnet-local-3:random"]) == ([53, 53], [27, 27])
    assert all(one["guarantee"] for one in listed)
    assert len(json.loads(run("models", "--labels", "--json").stdout)["labels"]) == 80
    assert "pleural effusion" in run("models", "--labels").stdout


def test_phantoms_are_written_and_read_back(tmp_path: Path) -> None:
    result = run("phantom", tmp_path / "cohort", "--n", "1", "--seed", "5", "--size", "small", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["phantoms"], document["seed"], document["size"]) == (1, 5, "small")
    (ct,) = (tmp_path / "cohort").rglob("ct.nii.gz")
    volume = read_ct(ct)
    assert volume.geometry.is_canonical
    assert volume.issues == ()
    again = run("phantom", tmp_path / "again", "--n", "1", "--seed", "5", "--size", "small")
    assert again.exit_code == 0
    (same,) = (tmp_path / "again").rglob("ct.nii.gz")
    np.testing.assert_array_equal(read_ct(same).hu, volume.hu)


def command(folder: Path, out: Path) -> list[str]:
    words = ["explain", folder / "Doe_Jane.nii.gz", "--model", folder / "tiny.safetensors", "-o", out, "--maps", "mass"]
    return [sys.executable, "-m", "training.cli", *(str(word) for word in words)]


def test_json_holds_for_wrong_usage_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "training.cli", "explain", "--json"], capture_output=True, check=False, cwd=ROOT
    )
    assert done.returncode == 2
    assert "PATH" in json.loads(done.stdout)["error"].upper()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_stops_the_real_process(folder: Path, tmp_path: Path) -> None:
    with subprocess.Popen(command(folder, tmp_path / "out"), stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603
        assert process.stderr is not None
        process.stderr.readline()  # it has begun
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    assert process.returncode in (0, 130), messages
    assert "Traceback" not in messages
    assert [item.name for item in tmp_path.iterdir()] in ([], ["out"])


WRITER = """
import sys
from pathlib import Path
from training.cohort.output import write_result
from training.cohort.store import read_case
case = read_case(sys.argv[1])
print("ready", flush=True)
while True:
    write_result(Path(sys.argv[2]), case, {}, case.labels)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_killed_while_writing_there_is_no_result_or_a_whole_one(folder: Path, tmp_path: Path) -> None:
    """A process that writes the same result again and again is killed at random moments."""
    assert run_explain(folder, tmp_path / "first").exit_code == 0
    whole = read_case(tmp_path / "first")
    out = tmp_path / "place" / "out"
    moments = random.Random(1)  # noqa: S311 - moments, not secrets
    for _ in range(5):
        words = [sys.executable, "-c", WRITER, str(tmp_path / "first"), str(out)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT) as process:  # noqa: S603
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0, 0.2))
            process.kill()
        if out.exists():
            np.testing.assert_array_equal(read_case(out).z, whole.z)
            assert len(list((out / "maps").iterdir())) == 2 * len(LABELS)
            assert json.loads((out / "report.json").read_text())["labels"]
    assert run_explain(folder, out).exit_code == 0
    assert [item.name for item in out.parent.iterdir()] == ["out"]
    assert not (out / "maps").exists()


def test_all_that_was_written_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, report = tmp_path / "t.csv", tmp_path / "t.csv.report.json"
    for path in (table, report, tmp_path / "few" / "maps" / "a.nii", tmp_path / "few" / "report.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for n in range(7):
        (tmp_path / "many" / f"case-{n}").mkdir(parents=True)
    wrote(table, report, tmp_path / "few", tmp_path / "many")
    assert capsys.readouterr().err.splitlines() == [
        f"wrote {table}",
        f"wrote {report}",
        f"wrote {tmp_path / 'few'}: maps/, report.json",
        f"wrote {tmp_path / 'many'}: 7 folders",
    ]
    wrote(table)
    assert capsys.readouterr().err.splitlines() == [f"wrote {table}", f"wrote {report}"]


def test_asked_labels_are_printed_and_sums_are_told_in_words(
    explanation_factory: Callable[..., Explanation], capsys: pytest.CaptureFixture[str]
) -> None:
    made = explanation_factory(n_labels=15)
    last = made.labels[int(made.scores.argmin())]
    _print_case(made)
    assert display_name(last) not in capsys.readouterr().out
    _print_case(made, (last,))
    told = capsys.readouterr().out
    assert display_name(last) in told
    assert percent(float(made.probabilities.min())) in told
    assert "11 of 15 abnormalities shown" in told
    assert "Maps and bias add up to the scores, to " in told
    assert "score: what the network computes" in told
    assert "residual" not in told


def test_sizes_of_phantoms_are_in_the_help() -> None:
    told = " ".join(run("phantom", "--help").stdout.replace("│", " ").split())
    assert "405 x 420 x 420" in told
    assert "96 x 128 x 128" in told
