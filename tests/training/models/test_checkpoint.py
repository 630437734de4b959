"""Checkpoints: what is written comes back; everything else is refused before it is used."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from training.issues import InputError
from training.models import CheckpointMetadata, Model, build_model, run
from training.models.checkpoint import FORMAT, Expected, load_checkpoint, save_checkpoint
from training.models.tensorfile import file_sha256
from training.preprocess import InputSpec, ModelInput

METADATA = CheckpointMetadata(
    mean_probability={"nodule": 0.25, "mass": 0.03},
    threshold={"nodule": 0.4},
    training={"data": "phantoms", "seed": 7, "epochs": 3},
    evaluation={"auroc": {"nodule": 0.91}},
    licence="MIT",
)


@pytest.fixture
def saved(small_model: Model, tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    small_model.metadata = METADATA
    save_checkpoint(path, small_model)
    return path


def test_a_full_disk_is_told_and_leaves_the_earlier_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, before = load_checkpoint(saved), saved.read_bytes()

    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(
        InputError, match=r"net\.safetensors: cannot be written: the disk is full\. Free some"
    ) as caught:
        save_checkpoint(saved, model)
    assert caught.value.issues[0].code == "disk-full"
    assert saved.read_bytes() == before
    assert [item.name for item in saved.parent.iterdir()] == [saved.name]


def test_other_failures_of_writing_stay_what_they_are(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(tensors: object, path: Path, metadata: object) -> None:
        raise SafetensorError("InvalidTensorView")

    model = load_checkpoint(saved)
    monkeypatch.setattr("safetensors.torch.save_file", broken)
    with pytest.raises(SafetensorError, match="InvalidTensorView"):
        save_checkpoint(saved, model)


def code_of(path: Path, expected: Expected | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_checkpoint(path, expected=expected)
    issue = caught.value.issues[0]
    assert issue.file == path.name
    assert issue.way_out
    return issue.code


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write the checkpoint again with other metadata."""
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        data = json.loads(json.loads(stream.read(length))["__metadata__"][FORMAT])
    change(data)
    tensors = load_file(path)
    save_file(tensors, path, metadata={FORMAT: json.dumps(data)})


def retensor(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Write the checkpoint again with other tensors."""
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        metadata = json.loads(stream.read(length))["__metadata__"]
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata=metadata)


def test_a_model_comes_back_whole(small_model: Model, saved: Path, small_input: ModelInput) -> None:
    again = load_checkpoint(saved)
    assert (again.labels, again.input_spec, again.architecture) == (
        small_model.labels,
        small_model.input_spec,
        "axialnet-local",
    )
    assert again.metadata == METADATA
    assert again.guarantee is small_model.guarantee
    assert again.name == "net"
    assert again.sha256 == file_sha256(saved)
    assert not again.network.training
    np.testing.assert_array_equal(run(again, small_input).z, run(small_model, small_input).z)


@pytest.mark.parametrize("architecture", ["axialnet", "axialnet-same"])
def test_every_architecture_can_be_saved(architecture: str, tmp_path: Path) -> None:
    spec = InputSpec((2.4,) * 3, (6, 288, 288))
    model = build_model(architecture, ("a", "b"), spec, width=4, custom_channels=(5, 4, 3, 2))
    save_checkpoint(tmp_path / "a.safetensors", model)
    again = load_checkpoint(tmp_path / "a.safetensors")
    assert again.network.config == model.network.config
    assert again.z_shape == model.z_shape


def test_saving_returns_the_files_hash_and_replaces_in_one_step(small_model: Model, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"old")
    assert save_checkpoint(path, small_model) == file_sha256(path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(
    small_model: Model, saved: Path, tmp_path: Path
) -> None:
    retensor(saved, lambda t: t["head.fc.bias"].fill_(float("nan")))
    assert code_of(saved) == "checkpoint-weights"
    with torch.no_grad():
        small_model.network.head.bias.fill_(float("inf"))
    with pytest.raises(InputError, match="not finite"):
        save_checkpoint(tmp_path / "bad.safetensors", small_model)
    assert not (tmp_path / "bad.safetensors").exists()


class Bomb:
    """Unpickling this makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (_explode, (str(self.target),))


def _explode(target: str) -> None:
    Path(target).touch()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.safetensors"])
def test_pickles_are_refused_and_never_run(tmp_path: Path, name: str, protocol: int) -> None:
    path, trace = tmp_path / name, tmp_path / "executed"
    path.write_bytes(pickle.dumps({"state_dict": Bomb(trace)}, protocol=protocol))
    assert code_of(path) == "checkpoint-pickle"
    torch.save({"x": torch.zeros(2), "y": Bomb(trace)}, path)
    assert code_of(path) == "checkpoint-pickle"
    assert not trace.exists()


def test_the_way_out_of_a_pickle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"x": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"python -m training\.models\.convert"):
        load_checkpoint(path)


def test_files_that_are_missing_empty_or_something_else(tmp_path: Path) -> None:
    assert code_of(tmp_path / "none.safetensors") == "checkpoint-missing"
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    assert code_of(folder) == "checkpoint-missing"
    for name, content in {
        "empty": b"",
        "short": b"\x01\x02",
        "text": b"these are not weights at all",
        "json": struct.pack("<Q", 5) + b"[1,2]",
        "broken": struct.pack("<Q", 9) + b'{"a": {}}',
        "offsets": struct.pack("<Q", 37) + b'{"a": {"data_offsets": ["x", "y"] }} ',
        "deep": struct.pack("<Q", 9) + b"not json.",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert code_of(path) == "checkpoint-format", name


@pytest.mark.parametrize("keep", [9, 200, 0.5, -1])
def test_truncated_files_are_refused(saved: Path, keep: float) -> None:
    content = saved.read_bytes()
    n = int(len(content) * keep) if 0 < keep < 1 else int(keep)
    saved.write_bytes(content[:n])
    assert code_of(saved) == "checkpoint-truncated"


def test_overlapping_or_surplus_bytes_are_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b"more")
    assert code_of(saved) == "checkpoint-format"


def test_hash_mismatch_is_refused(saved: Path) -> None:
    digest = file_sha256(saved)
    assert load_checkpoint(saved, expected=Expected(sha256=digest.upper())).sha256 == digest
    assert code_of(saved, Expected(sha256="0" * 64)) == "checkpoint-hash"


def test_a_changed_byte_is_noticed(saved: Path) -> None:
    content = saved.read_bytes()
    for place in (len(content) - 1, len(content) - 1000):
        saved.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert code_of(saved) == "checkpoint-checksum"
    threshold, other = rb"\"threshold\": {\"nodule\": 0.4", rb"\"threshold\": {\"nodule\": 0.5"
    assert threshold in content
    saved.write_bytes(content.replace(threshold, other))
    assert code_of(saved) == "checkpoint-checksum"


def test_checkpoints_without_a_checksum_are_read(saved: Path) -> None:
    rewrite(saved, lambda d: d.update(licence="CC0"))
    assert load_checkpoint(saved).metadata.licence == "CC0"


def test_unknown_versions_are_refused(saved: Path) -> None:
    rewrite(saved, lambda d: d.update(format_version=2))
    assert code_of(saved) == "checkpoint-version"


def test_plain_tensors_are_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    save_file({"x": torch.zeros(2)}, path)
    assert code_of(path) == "checkpoint-metadata"
    save_file({"x": torch.zeros(2)}, path, metadata={FORMAT: "not json"})
    assert code_of(path) == "checkpoint-metadata"
    save_file({"x": torch.zeros(2)}, path, metadata={FORMAT: "[]"})
    assert code_of(path) == "checkpoint-metadata"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d.update(architecture="axialnet-same"), "checkpoint-architecture"),
        (lambda d: d["config"].update(architecture="ctnet"), "checkpoint-architecture"),
        (lambda d: d["config"].update(cut_stage=4), "checkpoint-architecture"),
        (lambda d: d["config"].update(width="8"), "checkpoint-architecture"),
        (lambda d: d.pop("config"), "checkpoint-architecture"),
        (lambda d: d.update(config=None), "checkpoint-architecture"),
        (lambda d: d["config"].update(width=16), "checkpoint-weights"),
        (lambda d: d["labels"].pop(), "checkpoint-labels"),
        (lambda d: d["labels"].__setitem__(0, "mass"), "checkpoint-labels"),
        (lambda d: d["labels"].__setitem__(0, ""), "checkpoint-labels"),
        (lambda d: d["labels"].__setitem__(0, 5), "checkpoint-labels"),
        (lambda d: d.pop("labels"), "checkpoint-labels"),
        (lambda d: d["input_spec"].update(shape=[30, 96, 88]), "checkpoint-input-spec"),
        (lambda d: d["input_spec"].update(shape=[33, 96, 80]), "checkpoint-input-spec"),
        (lambda d: d["input_spec"].update(clip_hu=[5, 5]), "checkpoint-input-spec"),
        (lambda d: d["input_spec"].pop("offset"), "checkpoint-input-spec"),
        (lambda d: d.pop("input_spec"), "checkpoint-input-spec"),
        (lambda d: d["mean_probability"].update(nodule=1.5), "checkpoint-metadata"),
        (lambda d: d["threshold"].update(fracture=0.5), "checkpoint-metadata"),
        (lambda d: d["threshold"].update(nodule="high"), "checkpoint-metadata"),
        (lambda d: d.update(training="by hand"), "checkpoint-metadata"),
        (lambda d: d.pop("licence"), "checkpoint-metadata"),
        (lambda d: d.update(licence=5), "checkpoint-metadata"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    saved: Path, change: Callable[[dict[str, Any]], object], code: str
) -> None:
    rewrite(saved, change)
    assert code_of(saved) == code


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("head.fc.bias"),
        lambda t: t.update(surplus=torch.zeros(1)),
        lambda t: t.update({"head.fc.bias": torch.zeros(4)}),
        lambda t: t.update({"head.fc.bias": torch.zeros(3, dtype=torch.complex64)}),
    ],
)
def test_weights_that_do_not_fit_are_refused(saved: Path, change: Callable[[dict[str, Any]], object]) -> None:
    retensor(saved, change)
    assert code_of(saved) == "checkpoint-weights"


def test_what_the_caller_expects_is_checked(small_model: Model, saved: Path) -> None:
    fine = Expected("axialnet-local", small_model.labels, small_model.input_spec)
    assert load_checkpoint(saved, "mine", fine).name == "mine"
    assert code_of(saved, Expected(architecture="axialnet")) == "checkpoint-architecture"
    assert code_of(saved, Expected(labels=small_model.labels[::-1])) == "checkpoint-labels"
    assert code_of(saved, Expected(labels=("nodule",))) == "checkpoint-labels"
    assert code_of(saved, Expected(input_spec=InputSpec())) == "checkpoint-input-spec"


def test_loading_leaves_the_random_state_alone(saved: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_checkpoint(saved)
    assert torch.equal(torch.rand(1), expected)


def test_checkpoints_can_be_read_by_others(saved: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert saved.stat().st_mode == plain.stat().st_mode


def test_what_earlier_versions_called_otherwise_is_read_by_todays_name(saved: Path) -> None:
    rewrite(saved, lambda data: data["training"].update(best_epoch=11))
    training = load_checkpoint(saved).metadata.training
    assert training["best_epoch_index"] == 11
    assert "best_epoch" not in training
