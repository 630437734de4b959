"""What a training run is made of: typed settings, read from TOML, each documented and each overridable.

A configuration is a tree of frozen dataclasses. :func:`load_config` reads a TOML file over a preset, :func:`override`
sets single values by dotted name, :func:`to_toml` writes every setting with its documentation. All three refuse unknown
names and wrong types with one message per fault.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from training.issues import InputError, Issue, error

T = TypeVar("T")


def _doc(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    """Return a field with its default, its documentation and its range (both ends included)."""
    return field(default=default, metadata={"doc": text, "low": low, "high": high})


@dataclass(frozen=True)
class ModelSettings:
    """Which network is trained."""

    architecture: Literal["axialnet", "axialnet-same", "axialnet-local"] = _doc(
        "axialnet", "axialnet (paper), axialnet-same (padded custom convolutions) or axialnet-local (cut trunk, 1x1)"
    )
    width: int = _doc(64, "channels of the trunk's first stage; 64 is ResNet-18", 1, 256)
    cut_stage: int = _doc(4, "last stage of the trunk that is kept; below 4 for axialnet-local only", 1, 4)
    custom_channels: tuple[int, ...] = _doc(
        (64, 32, 16, 16), "outputs of the custom convolutions; last: features of Z", 1
    )
    trunk_weights: str = _doc("", "file of ResNet-18 weights the trunk starts from; empty for random")


@dataclass(frozen=True)
class InputSettings:
    """What the network sees of a CT; becomes the checkpoint's ``InputSpec``."""

    spacing_mm: tuple[float, float, float] = _doc((0.8, 0.8, 0.8), "voxel size along slice, row and column, mm", 0.1)
    shape: tuple[int, int, int] = _doc((405, 420, 420), "voxels along slice, row and column", 1)
    clip_hu: tuple[float, float] = _doc((-1000.0, 800.0), "HU outside this range are clipped")
    offset: float = _doc(-0.449, "added once the clipped HU are scaled to 0..1")
    group: int = _doc(3, "adjacent slices in a slice group", 1, 99)
    average: bool = _doc(False, "average the CT over voxels larger than its own instead of sampling their centres")


@dataclass(frozen=True)
class OptimizerSettings:
    """How the weights move."""

    name: Literal["sgd", "adamw"] = _doc("sgd", "sgd (paper) or adamw")
    learning_rate: float = _doc(1e-3, "step size; the peak of the schedule", 0.0)
    head_factor: float = _doc(1.0, "the last layer's step size as a multiple of learning_rate", 0.0)
    conditioned_head: bool = _doc(False, "train the last layer in centred coordinates; it is saved as the plain layer")
    momentum: float = _doc(0.99, "momentum of sgd; first beta of adamw", 0.0, 0.9999)
    weight_decay: float = _doc(1e-7, "pull of the weights to zero (decoupled for adamw)", 0.0)
    schedule: Literal["constant", "one-cycle"] = _doc(
        "constant", "constant (paper), or one-cycle: linear warm-up, then cosine to zero"
    )
    warmup: float = _doc(0.1, "share of all steps that warm up (one-cycle)", 0.0, 1.0)
    norm_momentum: float = _doc(
        0.1, "share of the newest batch in the running statistics of batch normalisation", 1e-4, 1.0
    )
    norm_frozen_after: float = _doc(
        1.0, "share of the epochs after which batch normalisation uses its running statistics in training too", 0.0, 1.0
    )
    clip_norm: float = _doc(0.0, "longest allowed gradient; 0 for no limit", 0.0)


@dataclass(frozen=True)
class LossSettings:
    """What is minimised: the classification loss (equation 2), and more on request."""

    positive_weight_limit: float = _doc(
        1.0, "positives weigh negatives/positives of their label, at most this; 1 is the paper's unweighted loss", 1.0
    )
    places: float = _doc(
        0.0, "weight of the loss that teaches features where abnormalities are; 0 for none (paper)", 0.0
    )
    places_until: float = _doc(1.0, "share of the epochs after which that loss is left out", 0.0, 1.0)


@dataclass(frozen=True)
class AugmentSettings:
    """How training CTs are varied; each case and epoch has its own draw from the seed."""

    flip_probability: float = _doc(0.0, "chance to flip one axis, drawn among the three (paper: 0.5)", 0.0, 1.0)
    rotate_probability: float = _doc(0.0, "chance to turn all slices by 90, 180 or 270 degrees (paper: 0.5)", 0.0, 1.0)
    shift_px: tuple[int, int, int] = _doc((0, 0, 0), "largest shift along slice, row and column, voxels", 0)
    shift_step_px: tuple[int, int, int] = _doc((1, 1, 1), "shifts are multiples of this, voxels", 1)
    hu_shift: float = _doc(0.0, "largest shift of all HU", 0.0)
    hu_noise: float = _doc(0.0, "largest standard deviation of added white noise, HU", 0.0)


@dataclass(frozen=True)
class RunSettings:
    """How long and on what."""

    epochs: int = _doc(100, "passes over the training cases at most", 1)
    patience: int = _doc(15, "stop after this many epochs without a better validation loss; 0 for never", 0)
    batch_size: int = _doc(1, "CTs in a step", 1)
    validation_share: float = _doc(0.1, "share of the cases kept for validation when none are given apart", 0.0, 0.9)
    seed: int = _doc(0, "everything random follows from it", 0)
    device: Literal["auto", "cpu", "cuda", "mps"] = _doc("auto", "where to compute")
    precision: Literal["fp32", "bf16"] = _doc("fp32", "arithmetic of the network; weights stay fp32")
    threads: int = _doc(0, "CPU threads; 0 for all cores", 0)


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a training run. The defaults are the paper's recipe."""

    model: ModelSettings = field(default_factory=ModelSettings)
    input: InputSettings = field(default_factory=InputSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    run: RunSettings = field(default_factory=RunSettings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], file: str | None = None) -> TrainConfig:
        """Return the configuration of a nested mapping; settings that are left out keep the paper's value.

        Raises
        ------
        InputError
            One issue for every unknown name, wrong type and value out of range.
        """
        return merge(cls(), data, file)


def merge(base: T, data: Mapping[str, Any], file: str | None = None) -> T:
    """Return ``base`` with the settings of ``data`` in place of its own; raises ``InputError`` naming every fault."""
    faults: list[Issue] = []
    merged = _merge(base, data, "", faults, file)
    if faults:
        raise InputError(faults)
    return merged


def _merge(base: T, data: Mapping[str, Any], where: str, faults: list[Issue], file: str | None) -> T:
    hints = get_type_hints(type(base))
    known = {f.name: f for f in dataclasses.fields(base)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for name, value in data.items():
        path = f"{where}{name}"
        if name not in known:
            faults.append(error("unknown-setting", f"there is no setting {path}.", f"Known: {', '.join(known)}.", file))
        elif dataclasses.is_dataclass(current := getattr(base, name)) and isinstance(value, Mapping):
            changes[name] = _merge(current, value, f"{path}.", faults, file)
        else:
            changes[name] = _converted(value, hints[name], known[name], path, faults, file)
    return base if faults else dataclasses.replace(base, **changes)  # type: ignore[type-var]


def _converted(value: Any, hint: Any, known: Any, path: str, faults: list[Issue], file: str | None) -> Any:
    try:
        result = _convert(value, hint)
        _check_range(result, known.metadata.get("low"), known.metadata.get("high"))
    except ValueError as fault:
        faults.append(error("bad-setting", f"{path} = {value!r}: {fault}.", f"{known.metadata.get('doc', '')}.", file))
        return value
    return result


def _convert(value: Any, hint: Any) -> Any:
    """Return ``value`` as ``hint`` (bool, int, float, str, Literal or a fixed tuple of these) or raise ValueError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"must be one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        if isinstance(value, (list, tuple)) and value and arguments[-1] is Ellipsis:
            return tuple(_convert(v, arguments[0]) for v in value)
        if not isinstance(value, (list, tuple)) or len(value) != len(arguments):
            raise ValueError(f"must be a list of {len(arguments)} values")
        return tuple(_convert(v, a) for v, a in zip(value, arguments, strict=True))
    if origin in (Union, types.UnionType) or not isinstance(hint, type) or dataclasses.is_dataclass(hint):
        raise ValueError("must be a table of settings")
    return _plain(value, hint)


def _plain(value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"must be {kind.__name__}, not {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be finite")
    return value


def _check_range(value: Any, low: float | None, high: float | None) -> None:
    for number in value if isinstance(value, tuple) else (value,):
        if low is not None and number < low:
            raise ValueError(f"must be at least {low:g}")
        if high is not None and number > high:
            raise ValueError(f"must be at most {high:g}")


def load_config(path: Path, base: TrainConfig | None = None) -> TrainConfig:
    """Return the settings of a TOML file over ``base`` (default: the paper's).

    Raises
    ------
    InputError
        If the file is missing or not TOML, or for any fault of its settings.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(error("no-config", "there is no such file.", "Check --config.", path.name)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InputError(
            error("bad-toml", f"not a TOML file: {fault}.", "Mend or leave out --config.", path.name)
        ) from None
    return merge(base or TrainConfig(), data, path.name)


def override(config: TrainConfig, settings: Iterable[str]) -> TrainConfig:
    """Return ``config`` with single settings replaced, each given as ``section.name=value`` with a TOML value.

    A value that is no TOML is taken as a string, so ``model.architecture=axialnet-local`` needs no quotes.
    """
    for setting in settings:
        name, separator, text = setting.partition("=")
        section, dot, key = name.strip().partition(".")
        if not separator or not dot:
            raise InputError(error("bad-setting", f"{setting!r} is not section.name=value.", "Example: run.epochs=5."))
        config = merge(config, {section: {key: _toml_value(text.strip())}})
    return config


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def to_toml(config: TrainConfig) -> str:
    """Return all settings as TOML that :func:`load_config` reads back, each under a comment that documents it."""
    lines: list[str] = []
    for section in dataclasses.fields(config):
        settings = getattr(config, section.name)
        summary = (type(settings).__doc__ or "").splitlines()[0]
        lines += [f"# {summary}", f"[{section.name}]"]
        for item in dataclasses.fields(settings):
            lines += [f"# {item.metadata['doc']}", f"{item.name} = {_toml_text(getattr(settings, item.name))}"]
        lines.append("")
    return "\n".join(lines)


def _toml_text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml_text, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) else repr(value)
