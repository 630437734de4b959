"""What a training run is made of: typed settings, read from TOML, each documented and each overridable.

The settings themselves are in :mod:`training.fit.settings`. A configuration is a tree of frozen dataclasses.
:func:`load_config` reads a TOML file over a preset, :func:`override` sets single values by dotted name, :func:`to_toml`
writes every setting with its documentation. All three refuse unknown names and wrong types with one message per fault.
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

from training.fit.settings import (
    AugmentSettings,
    InputSettings,
    LossSettings,
    ModelSettings,
    OptimizerSettings,
    RunSettings,
    SourceSettings,
)
from training.io.regular import check_not_special
from training.issues import InputError, Issue, error

T = TypeVar("T")


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a training run. The defaults are the paper's recipe."""

    model: ModelSettings = field(default_factory=ModelSettings)
    input: InputSettings = field(default_factory=InputSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    run: RunSettings = field(default_factory=RunSettings)
    source: SourceSettings = field(default_factory=SourceSettings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, under the names that TOML and the command line use."""
        return {item.name: _plain_settings(getattr(self, item.name)) for item in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], file: str | None = None) -> TrainConfig:
        """Return the configuration of a nested mapping; settings that are left out keep the paper's value.

        Raises
        ------
        InputError
            One issue for every unknown name, wrong type and value out of range.
        """
        return merge(cls(), data, file)


def setting_name(item: dataclasses.Field[Any]) -> str:
    """Return what a setting is called outside Python, where ``lambda`` is no reserved word."""
    return item.name.removesuffix("_")


def _plain_settings(settings: Any) -> dict[str, Any]:
    return {setting_name(item): getattr(settings, item.name) for item in dataclasses.fields(settings)}


def merge(base: T, data: Mapping[str, Any], file: str | None = None) -> T:
    """Return ``base`` with the settings of ``data`` in place of its own; raises ``InputError`` naming every fault."""
    faults: list[Issue] = []
    merged = _merge(base, data, "", faults, file)
    if faults:
        raise InputError(faults)
    return merged


def _merge(base: T, data: Mapping[str, Any], where: str, faults: list[Issue], file: str | None) -> T:
    hints = get_type_hints(type(base))
    known = {setting_name(f): f for f in dataclasses.fields(base)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for name, value in data.items():
        path = f"{where}{name}"
        if name not in known:
            faults.append(error("unknown-setting", f"there is no setting {path}.", f"Known: {', '.join(known)}.", file))
            continue
        own = known[name].name
        if dataclasses.is_dataclass(current := getattr(base, own)) and isinstance(value, Mapping):
            changes[own] = _merge(current, value, f"{path}.", faults, file)
        else:
            changes[own] = _converted(value, hints[own], known[name], path, faults, file)
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
        if isinstance(value, (list, tuple)) and arguments[-1] is Ellipsis:
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


def load_config(
    path: Path, base: TrainConfig | None = None, way_out: str = "Mend it, or leave out --config."
) -> TrainConfig:
    """Return the settings of a TOML file over ``base`` (default: the paper's).

    Parameters
    ----------
    path, base
        The file, and what it changes.
    way_out
        What to do about a file that is no TOML.

    Raises
    ------
    InputError
        If the file is missing, no file, or not TOML, or for any fault of its settings.
    """
    try:
        check_not_special(path)
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(error("no-config", "there is no such file.", "Check --config.", path.name)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InputError(error("bad-toml", f"not a TOML file: {fault}.", way_out, path.name)) from None
    return merge(base or TrainConfig(), data, path.name)


def override(config: TrainConfig, settings: Iterable[str]) -> TrainConfig:
    """Return ``config`` with single settings replaced, each given as ``section.name=value`` with a TOML value.

    A value that is no TOML is taken as a string, so ``model.architecture=axialnet-local`` needs no quotes.

    Raises
    ------
    InputError
        Naming every fault of all of them.
    """
    faults: list[Issue] = []
    for setting in settings:
        try:
            config = _overridden(config, setting)
        except InputError as refusal:
            faults += refusal.issues
    if faults:
        raise InputError(faults)
    return config


def _overridden(config: TrainConfig, setting: str) -> TrainConfig:
    name, separator, text = setting.partition("=")
    section, dot, key = name.strip().partition(".")
    if not separator or not dot:
        raise InputError(error("bad-setting", f"{setting!r} is not section.name=value.", "Example: run.epochs=5."))
    return merge(config, {section: {key: _toml_value(text.strip())}})


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
            value = _toml_text(getattr(settings, item.name))
            lines += [f"# {item.metadata['doc']}", f"{setting_name(item)} = {value}"]
        lines.append("")
    return "\n".join(lines)


def _toml_text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml_text, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) else repr(value)
