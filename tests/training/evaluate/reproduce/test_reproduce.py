"""The reproduction runs from seeds to a page, goes on where it stopped, and its sentences follow from its numbers."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from training.cli import create_app
from training.cohort.phantom import PLANTABLE
from training.evaluate.reproduce import SIZES, Size, needs, on_device, reproduce
from training.evaluate.reproduce import run as module
from training.evaluate.reproduce.claims import CLAIMS, Claim, find, percent, verdict
from training.evaluate.reproduce.plan import BASE, ENTRIES, LABELS, MASK, PRETRAINING_LABELS
from training.evaluate.reproduce.report import page
from training.evaluate.reproduce.throughput import read_notes
from training.fit.settings import InputSettings
from training.geometry import Geometry
from training.issues import InputError
from training.models import load_model
from training.partition.allowed import RegionSettings, cell_values

needs_module = import_module("training.evaluate.reproduce.needs")
CHOSEN = tuple(one for one in ENTRIES if one.name in (BASE, MASK, "randinit", "axialnet-local-2"))


TITLES = (("How organ masks are reduced", 6), ("Mask loss and attention", 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reproduction") / "out"
    reproduce(out, SIZES["tiny"], entries=CHOSEN)
    return out


def table(page: str, title: str) -> list[list[str]]:
    lines = page.split(f"## {title}")[1].split("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_the_plan_covers_the_papers_tables() -> None:
    names = {one.name for one in ENTRIES}
    assert names >= {BASE, MASK, "axialnet-same", "bodycam", "maxpool", "nocustomconv", "randinit"}
    assert names >= {"axialnet-local-2", "axialnet-local-3"}
    assert len(names) == len(ENTRIES)
    assert {name for name in names if name.startswith("mask-")} == {
        "mask-area",
        "mask-area-dilated",
        "mask-nearest-dilated",
    }
    assert not set(LABELS) & set(PRETRAINING_LABELS)
    assert set(LABELS) | set(PRETRAINING_LABELS) <= set(PLANTABLE)
    full = SIZES["full"].training(ENTRIES[0], "")
    assert (full.input, full.model.width) == (InputSettings(), 64)
    assert full.model.custom_channels == ()
    for size in SIZES.values():
        for one in ENTRIES:
            config = size.training(one, "trunk.safetensors")
            assert config.model.trunk_weights == ("" if one.name == "randinit" else "trunk.safetensors")
            assert (config.loss.mask != "none") == ("mask" in one.name)


def test_trilinear_and_nearest_are_one_row_of_table_6(folder: Path) -> None:
    model = load_model(folder / MASK / f"{MASK}.safetensors")
    image = Geometry.canonical(model.input_spec.shape, model.input_spec.spacing_mm)
    mask = np.random.default_rng(0).random(model.input_spec.shape) > 0.5
    for dilation in (False, True):
        nearest, trilinear = (
            cell_values(mask, image, model.cells, RegionSettings(downsampling=kind, dilation=dilation))
            for kind in ("nearest", "trilinear")
        )
        assert np.array_equal(nearest, trilinear)
        assert set(np.unique(nearest)) <= {0, 1}


def test_the_page_has_the_papers_tables_with_intervals_and_baselines(folder: Path) -> None:
    page = (folder / "reproduction.md").read_text(encoding="utf-8")
    first = table(page, "Architectures and ablations (the paper's Table 1)")
    assert {row[0] for row in first[2:]} == {one.name for one in CHOSEN}
    assert first[0][-4:] == ["uniform", "centre prior", "random weights", "random last layer"]
    second = table(page, "Mask loss and attention (the paper's Table 2)")
    assert [row[0] for row in second[2:]] == [BASE, MASK]
    assert re.search(r"Paired by test case: [+-][\d.]+ \([+-][\d.]+ to [+-][\d.]+\) points", " ".join(page.split()))
    assert " to " in second[2][2]
    fields = table(page, "Accuracy and pointing over the receptive field")
    assert fields[2][0] == "axialnet-local-2"  # the smallest field first
    assert {"more than the slice" in row[1] for row in fields[2:]} == {True, False}
    claims = table(page, "What the paper found, and what the phantoms show of it")
    assert {row[2] for row in claims[2:]} <= {"show it", "do not show it", "show the opposite", "say nothing"}
    speeds = table(page, "Throughput")
    assert {row[0] for row in speeds[2:]} == {one.name for one in CHOSEN}
    assert all(float(row[1]) > 0 and float(row[3]) > 0 and row[4].endswith(" GB") for row in speeds[2:])
    assert json.loads((folder / "machine.json").read_text(encoding="utf-8"))["machine"] in " ".join(page.split())
    assert "Not for clinical use" in " ".join(page.split())
    assert max(len(line) for line in page.splitlines() if not line.startswith("|")) <= 120


def test_a_page_of_the_papers_own_networks(folder: Path) -> None:
    results = module._results(module.Reproduction(folder, SIZES["tiny"], CHOSEN, module._silent, module._mute))
    full, reduced = (page(results, size, "c", {}, "a GPU") for size in (SIZES["full"], SIZES["tiny"]))
    assert "width 64, custom convolutions as in the paper, 10 epochs" in " ".join(full.split())
    assert "one custom convolution of 32 channels" in reduced
    for words in ("networks are small", "81 slices", "Nothing was run at full size"):
        assert words in " ".join(reduced.split())
        assert words not in " ".join(full.split())


def test_baselines_stand_beside_every_organ_iou(folder: Path) -> None:
    results = module._results(module.Reproduction(folder, SIZES["tiny"], CHOSEN, module._silent, module._mute))
    text = page({**results, "mask-area": results[MASK]}, SIZES["tiny"], "c", {}, "here")
    sixth, second = (table(text, f"{t} (the paper's Table {n})") for t, n in TITLES)
    assert sixth[0][4:6] == ["uniform", "centre prior"]
    assert sixth[-1][4:6] == second[3][3:5]
    first, fields = (table(text, title) for title in ("Architectures", "Accuracy and pointing"))
    cells = [cell for row in first[2:] for cell in row[5:9]] + [cell for row in fields[2:] for cell in row[6:11]]
    known = [cell for cell in cells if cell != "n/a"]
    assert len(known) > len(cells) / 2
    assert [cell for cell in known if not re.fullmatch(r"\S+ \(\S+ to \S+\)", cell)] == []
    below = [row[0] for row in table(text, "Architectures")[2:] if float(row[4].split()[0]) < float(row[6].split()[0])]
    assert f"for {len(below)} of {len(CHOSEN)} networks" in " ".join(text.split())


def test_numbers_on_the_page_are_those_of_the_evaluation(folder: Path) -> None:
    page = (folder / "reproduction.md").read_text(encoding="utf-8")
    found = json.loads((folder / MASK / "evaluation.json").read_text(encoding="utf-8"))
    chosen = {"model": MASK, "variant": "paper", "placement": "receptive_field", "group": "all", "measure": "OrganIoU"}
    row = find(found["organ_iou"], source="HiResCAM", **chosen)
    assert row is not None
    assert percent(row) in table(page, "Mask loss and attention (the paper's Table 2)")[3]
    assert set(found["models"]) == {BASE, MASK}
    assert found["models"][BASE]["n_cases"] == 2


def test_trunks_start_from_the_pretrained_one_but_for_randinit(folder: Path) -> None:
    models = {name: load_model(folder / name / f"{name}.safetensors") for name in (BASE, "randinit")}
    starts = {name: one.metadata.training["config"]["model"]["trunk_weights"] for name, one in models.items()}
    assert starts == {BASE: "last.safetensors", "randinit": ""}
    assert models[BASE].labels == LABELS
    trunk = load_file(folder / "pretraining" / "last.safetensors")["trunk.conv1.weight"]
    assert not torch.equal(load_file(folder / BASE / "random.safetensors")["trunk.conv1.weight"], trunk)


def test_nothing_is_made_twice(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("write_cohort", "train", "evaluate_stores"):
        monkeypatch.setattr(module, name, None)
    told: list[str] = []
    place = reproduce(folder, SIZES["tiny"], tmp_path / "page.md", entries=CHOSEN, tell=told.append)
    assert place.read_text(encoding="utf-8") == (folder / "reproduction.md").read_text(encoding="utf-8")
    assert told == []


def test_the_command_line_knows_it() -> None:
    result = CliRunner().invoke(create_app(), ["reproduce", "--help"])
    assert result.exit_code == 0
    assert "--page" in result.output


def reproduced(out: Path, *words: str) -> Result:
    return CliRunner().invoke(create_app(), ["reproduce", str(out), *words])


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def calls(monkeypatch: pytest.MonkeyPatch) -> list[Size]:
    """Return the sizes that will have been asked for; nothing is made."""
    found: list[Size] = []
    package = import_module("training.evaluate.reproduce")
    monkeypatch.setattr(package, "reproduce", lambda out, size, *_, **__: found.append(size) or out)
    return found


@pytest.mark.usefixtures("without_gpu")
def test_the_full_size_says_what_it_takes_and_does_not_start_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = calls(monkeypatch)
    monkeypatch.setattr(needs_module, "free_bytes", lambda _: 200_000_000_000)
    done = reproduced(tmp_path / "out", "--size", "full")
    told = " ".join(done.stderr.split())
    assert done.exit_code == 2
    assert "13 networks of 405 x 420 x 420 voxels: a trunk on 150 phantoms for 8 epochs" in told
    assert "12 on a cohort of 420 phantoms for 10 epochs each; 19 stores" in told
    assert "up to 141.5 GB of disk (200.0 GB are free), and computes on the CPU" in told
    assert "no GPU was found, and networks of the paper's size take weeks on a CPU. Give --device cpu" in told
    assert made == []
    assert not (tmp_path / "out").exists()
    assert reproduced(tmp_path / "out", "--size", "full", "--device", "cpu").exit_code == 0
    assert made == [SIZES["full"]]  # the CPU is what auto means here


@pytest.mark.usefixtures("without_gpu")
def test_a_gpu_that_is_not_there_and_a_disk_that_is_too_small_are_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = calls(monkeypatch)
    done = reproduced(tmp_path / "out", "--size", "tiny", "--device", "cuda")
    assert (done.exit_code, made) == (2, [])
    assert "there is no device cuda here" in done.stderr
    monkeypatch.setattr(needs_module, "free_bytes", lambda _: 1_000)
    full = reproduced(tmp_path / "out", "--size", "tiny")
    assert (full.exit_code, made) == (1, [])
    assert "it can take 0.0 GB, and 0.0 GB are free" in full.stderr
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "machine.json").write_text("{}")
    assert reproduced(tmp_path / "out", "--size", "tiny").exit_code == 0  # it was begun, and goes on
    assert len(made) == 1


def test_the_cpu_can_be_chosen_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    size = on_device(SIZES["full"], "cpu")
    assert size.device == "cpu"
    assert size.training(ENTRIES[0], "").run.device == size.pretraining().run.device == "cpu"
    assert on_device(SIZES["full"], "auto") == on_device(SIZES["full"], "cuda") == SIZES["full"]
    assert "computes on a GPU" in needs(SIZES["full"], ENTRIES, Path(), "auto")[1]


def test_phantoms_of_the_cohort_are_made_by_as_many_processes_as_there_are_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(module, "write_cohort", lambda *_, processes: asked.append(processes))
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    for name in ("full", "small", "tiny"):
        run = module.Reproduction(tmp_path, SIZES[name], CHOSEN, module._silent, module._mute)
        assert module._make_cohort(run)
    assert asked == [4, 2, 1]


@pytest.mark.parametrize(
    ("low", "high", "sign", "words"),
    [
        (0.01, 0.05, 1, "show it"),
        (-0.01, 0.05, 1, "do not show it"),
        (-0.05, -0.01, 1, "show the opposite"),
        (-0.05, -0.01, -1, "show it"),
        (None, None, 1, "say nothing"),
    ],
)
def test_verdicts_follow_from_the_intervals(low: float | None, high: float | None, sign: int, words: str) -> None:
    claim = Claim("c", "e", "a", "b", "m", "g", sign)
    value = None if low is None or high is None else (low + high) / 2
    row: dict[str, Any] = {"first": "a", "second": "b", "measure": "m", "group": "g", "difference": value}
    assert verdict(claim, {"e": {"comparisons": [{**row, "low": low, "high": high}]}})[1] == words
    assert verdict(claim, {"e": {}}) == ("n/a", "say nothing")


def test_every_claim_is_measured(folder: Path) -> None:
    names = {one.name for one in CHOSEN}
    results = {name: json.loads((folder / name / "evaluation.json").read_text(encoding="utf-8")) for name in names}
    for claim in (one for one in CLAIMS if one.entry in names):
        wanted = {"first": claim.first, "second": claim.second, "measure": claim.measure, "group": claim.group}
        assert find(results[claim.entry]["comparisons"], **wanted) is not None, claim.words


@pytest.mark.parametrize("name", ["machine.json", "seconds.json"])
@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_foreign_file_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"{name}: is damaged"):
        read_notes(tmp_path / name)
    assert (tmp_path / name).read_text() == content


def test_a_folder_with_other_things_is_left_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="no reproduction's; they are left as they are"):
        reproduce(tmp_path, SIZES["tiny"], entries=CHOSEN)
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match=r"thesis\.txt: is a file, not a folder"):
        reproduce(tmp_path / "thesis.txt", SIZES["tiny"], entries=CHOSEN)
    reproduce(folder, SIZES["tiny"], entries=CHOSEN)
    assert (folder / "reproduction.md").is_file()
