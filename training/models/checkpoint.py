"""Checkpoints: safetensors with JSON metadata. Everything is checked before a weight is used; nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.models.build import NETWORKS
from training.models.config import NetworkConfig
from training.models.model import CheckpointMetadata, Model, labels_misfit, spec_misfit
from training.models.network import Network
from training.models.tensorfile import file_sha256, is_whole, read_header, read_tensors, refused, sealed, write_tensors
from training.preprocess import InputSpec
from training.words import counted

FORMAT = "hirescam-checkpoint"
FORMAT_VERSION = 1

BEST_STEM, LAST_STEM = "best", "last"
RUN_STEMS = frozenset({BEST_STEM, LAST_STEM})
"""Names, without extension, of the checkpoints that every training run leaves."""

_AGAIN = "Write the checkpoint again with this program."


@dataclass(frozen=True)
class Expected:
    """What the caller knows about a checkpoint; None is not checked."""

    architecture: str | None = None
    labels: tuple[str, ...] | None = None
    input_spec: InputSpec | None = None
    sha256: str | None = None


def save_checkpoint(path: str | Path, model: Model) -> str:
    """Write ``model`` to ``path`` in one step and return the file's SHA-256.

    Raises
    ------
    InputError
        If the place cannot be written or the weights are not finite.
    """
    from training.io.atomic import atomic_path, readable_by_others

    path = Path(path)
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.network.state_dict().items()}
    _check_finite(tensors, path)
    header = sealed({FORMAT: json.dumps(_metadata(model), allow_nan=False)}, tensors)
    with atomic_path(path) as partial:
        write_tensors(partial, tensors, header)
        readable_by_others(partial)
        return file_sha256(partial)


def _metadata(model: Model) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "architecture": model.architecture,
        "config": model.network.config.to_dict(),
        "labels": list(model.labels),
        "input_spec": model.input_spec.to_dict(),
        **model.metadata.to_dict(),
    }


def load_checkpoint(path: str | Path, name: str = "", expected: Expected | None = None) -> Model:
    """Return the model in ``path``.

    Parameters
    ----------
    path
        A checkpoint of :func:`save_checkpoint`.
    name
        How the model is called; by default the file's name without extension, or, where that is the same for every
        run (``best``, ``last``), what the run was called.
    expected
        What must be true of it.

    Raises
    ------
    InputError
        If the file is missing, a pickle, truncated, of another version, or if its hash, architecture, labels, input
        spec or weights are not what they must be.
    """
    path = Path(path)
    expected = expected or Expected()
    header = read_header(path)
    digest = file_sha256(path)
    if expected.sha256 is not None and digest != expected.sha256.lower():
        fact = f"its SHA-256 is {digest}, expected {expected.sha256.lower()}."
        raise refused("checkpoint-hash", fact, "Download or copy the file again.", path)
    data = _parse_metadata(header, path)
    config, labels, spec = _parse_model(data, path)
    _check_expected(config, labels, spec, expected, path)
    network = _load_network(path, config, header)
    numbers = _parse_numbers(data, labels, path)
    return Model(network, labels, spec, name or called(path, numbers.training), digest, numbers)


def called(path: Path, training: Mapping[str, Any]) -> str:
    """Return the name of the model in ``path`` where none is given.

    Files of all runs are called alike (``best.safetensors``), so it is the run's: what the checkpoint says, or the
    folder it lies in. A file that was given another name is called by that.
    """
    if path.stem not in RUN_STEMS:
        return path.stem
    run = str(training.get("name") or path.absolute().parent.name or path.stem)
    return f"{run} (last epoch)" if path.stem == LAST_STEM else run


def load_state(network: Network, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy ``tensors`` into ``network``; names and shapes must be exactly its own, values finite."""
    own = network.state_dict()
    missing, extra = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or extra:
        fact = f"its weights are not those of {network.config.architecture}: "
        fact += "; ".join(_listed(word, names) for word, names in (("missing", missing), ("unknown", extra)) if names)
        raise refused("checkpoint-weights", fact + ".", "Give a checkpoint of this architecture.", path)
    wrong = [k for k in own if own[k].shape != tensors[k].shape]
    if wrong:
        facts = ", ".join(f"{k} is {tuple(tensors[k].shape)} instead of {tuple(own[k].shape)}" for k in wrong[:3])
        raise refused("checkpoint-weights", f"weights have the wrong shape: {facts}.", "Check width and labels.", path)
    _check_finite(tensors, path)
    network.load_state_dict(tensors)


def _parse_metadata(header: dict[str, Any], path: Path) -> dict[str, Any]:
    text = header.get("__metadata__", {}).get(FORMAT)
    if text is None:
        way_out = "Give a checkpoint that this program wrote, or load it as trunk weights or authors' weights."
        raise refused("checkpoint-metadata", "it does not say what model it is.", way_out, path)
    try:
        data = json.loads(text)
        version = data["format_version"]
    except (ValueError, TypeError, KeyError) as reason:
        fact = "its description of the model is damaged."
        raise refused("checkpoint-metadata", fact, "Download or copy the file again.", path) from reason
    if version != FORMAT_VERSION:
        fact = f"its format version is {version!r}; this program reads version {FORMAT_VERSION}."
        raise refused("checkpoint-version", fact, "Update this program, or write the checkpoint again.", path)
    return data  # type: ignore[no-any-return]


def _parse_model(data: dict[str, Any], path: Path) -> tuple[NetworkConfig, tuple[str, ...], InputSpec]:
    """Return configuration, labels and input spec, each valid by itself."""
    try:
        config = NetworkConfig.from_dict(data["config"])
        if data["architecture"] != config.architecture:
            raise ValueError(f"it is called {data['architecture']!r} but configured as {config.architecture!r}")
    except (KeyError, TypeError, ValueError) as reason:
        way_out = f"This program knows {', '.join(NETWORKS)}."
        raise refused("checkpoint-architecture", f"wrong architecture: {reason}.", way_out, path) from reason
    try:
        spec = InputSpec.from_dict(data["input_spec"])
    except (KeyError, TypeError, ValueError) as reason:
        raise refused("checkpoint-input-spec", f"wrong input specification: {reason}.", _AGAIN, path) from reason
    labels = data.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise refused("checkpoint-labels", "its label list is damaged.", _AGAIN, path)
    return config, tuple(labels), spec


def _load_network(path: Path, config: NetworkConfig, header: dict[str, Any]) -> Network:
    """Build the network without spending memory on it, then fill it."""
    dtypes = {v.get("dtype") for k, v in header.items() if k != "__metadata__"}
    if not dtypes <= {"F32", "F16", "BF16", "I64"}:
        raise refused("checkpoint-weights", f"weights of type {sorted(map(str, dtypes))}.", _AGAIN, path)
    try:
        with torch.device("meta"):
            network = NETWORKS[config.architecture](config)  # type: ignore[call-arg]
    except ValueError as reason:
        raise refused("checkpoint-architecture", f"{reason}.", _AGAIN, path) from reason
    tensors = read_tensors(path)
    network = network.to_empty(device="cpu").eval()
    load_state(network, tensors, path)
    if not is_whole(header["__metadata__"], tensors):
        fact = "it is damaged: it does not match its checksum."
        raise refused("checkpoint-checksum", fact, "Download or copy the file again.", path)
    return network


def _check_expected(
    config: NetworkConfig, labels: tuple[str, ...], spec: InputSpec, expected: Expected, path: Path
) -> None:
    if expected.architecture not in (None, config.architecture):
        fact = f"it holds {config.architecture}, expected {expected.architecture}."
        raise refused("checkpoint-architecture", fact, "Give a checkpoint of that architecture.", path)
    if expected.labels not in (None, labels):
        fact = _label_difference(labels, expected.labels or ())
        raise refused("checkpoint-labels", fact, "Give a checkpoint with the same labels in the same order.", path)
    if expected.input_spec not in (None, spec):
        fact = f"its input is {spec}, expected {expected.input_spec}."
        raise refused("checkpoint-input-spec", fact, "Give a checkpoint for that input.", path)
    if reason := labels_misfit(config, labels):
        raise refused("checkpoint-labels", f"{reason}.", _AGAIN, path)
    if reason := spec_misfit(config, spec):
        raise refused("checkpoint-input-spec", f"{reason}.", _AGAIN, path)


def _label_difference(labels: tuple[str, ...], expected: tuple[str, ...]) -> str:
    if len(labels) != len(expected):
        return f"it has {counted(len(labels), 'label')}, expected {len(expected)}."
    first = next(i for i, (a, b) in enumerate(zip(labels, expected, strict=True)) if a != b)
    return f"its label {first + 1} is {labels[first]!r}, expected {expected[first]!r}."


def _parse_numbers(data: dict[str, Any], labels: tuple[str, ...], path: Path) -> CheckpointMetadata:
    """Return what is known about the model's numbers; probabilities must lie in [0, 1] and belong to its labels."""
    try:
        numbers = CheckpointMetadata(**{key: data[key] for key in CheckpointMetadata.__dataclass_fields__})
        for table in (numbers.mean_probability, numbers.threshold):
            if not table.keys() <= set(labels) or not all(0 <= float(p) <= 1 for p in table.values()):
                raise ValueError("probabilities must lie between 0 and 1 and belong to the model's labels")
        if not all(isinstance(v, dict) for v in (numbers.training, numbers.evaluation)):
            raise ValueError("training and evaluation must be tables")
        if not isinstance(numbers.licence, str):
            raise ValueError("the licence must be text")
    except (KeyError, TypeError, ValueError, AttributeError) as reason:
        fact = f"its description of the model is damaged ({reason})."
        raise refused("checkpoint-metadata", fact, _AGAIN, path) from reason
    return replace(numbers, training=_in_todays_words(numbers.training))


def _in_todays_words(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint says of its training, with the names that earlier versions gave replaced by today's."""
    return {_RENAMED.get(key, key): value for key, value in training.items()}


_RENAMED = {"best_epoch": "best_epoch_index"}
"""Facts about a training by their earlier names; both count from 0."""


def _check_finite(tensors: dict[str, Tensor], path: Path) -> None:
    bad = [k for k, v in tensors.items() if not torch.isfinite(v).all()]
    if bad:
        fact = f"{_listed('not finite', bad)}."
        raise refused("checkpoint-weights", fact, "Training went wrong; use an earlier checkpoint.", path)


def _listed(word: str, names: list[str]) -> str:
    return f"{word}: {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
