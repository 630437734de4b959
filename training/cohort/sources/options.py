"""The options of a cohort's layout: ``NAME=VALUE`` on the command line, ``[source]`` in a run's ``config.toml``.

They are checked once, by :class:`training.fit.settings.SourceSettings`, and then go as a plain mapping of those that
were given: into the source that reads the tables, into a store's ``data.json``, and from there into every command that
finds the cohort again. ``training.fit`` is imported only where there are options, because it loads torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.issues import InputError, Issue, error

if TYPE_CHECKING:
    from training.fit.settings import SourceSettings

Options = Mapping[str, Any]
"""Options by name, only those that were given; paths as text."""

KNOWN: Mapping[str, tuple[str, ...]] = {
    "phantoms": (),
    "table": ("extra_labels",),
    "rad-chestct": ("subset", "volumes"),
    "ct-rate": ("labels", "validation_share"),
}
"""Which options each layout knows."""

PATHS = ("subset", "volumes")
"""Options that are places on the disk."""


def source_options(texts: Sequence[str]) -> dict[str, Any]:
    """Return the options that ``NAME=VALUE`` texts give; errors as for :func:`changed`."""
    if not texts:
        return {}
    from training.fit.settings import SourceSettings

    return changed(SourceSettings(), texts).given()


def changed(settings: SourceSettings, texts: Iterable[str]) -> SourceSettings:
    """Return ``settings`` with single options replaced, each given as ``NAME=VALUE``; paths become absolute.

    Raises
    ------
    InputError
        Naming every option that does not exist or has a value that is none.
    """
    from training.fit.config import merge

    faults: list[Issue] = []
    for text in texts:
        name, separator, value = (part.strip() for part in text.partition("="))
        try:
            if not separator:
                fact = f"{text!r} is not NAME=VALUE."
                raise InputError(error("bad-setting", fact, f"Options are {', '.join(_all_names())}."))
            settings = merge(settings, {name: _typed(name, value)})
        except InputError as refusal:
            faults += refusal.issues
    if faults:
        raise InputError(faults)
    return placed(settings)


def placed(settings: SourceSettings) -> SourceSettings:
    """Return ``settings`` with absolute paths, so that they hold wherever a run is resumed from."""
    return replace(settings, subset=_absolute(settings.subset), volumes=_absolute(settings.volumes))


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ""


def _typed(name: str, text: str) -> Any:
    """Return a value in the type of its option; what cannot be converted stays text, and is refused as such."""
    if name == "extra_labels":
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if name == "validation_share":
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _all_names() -> list[str]:
    return [name for names in KNOWN.values() for name in names]


def check_options(kind: str, options: Options) -> None:
    """Refuse options that the layout ``kind`` does not know.

    Raises
    ------
    InputError
        Naming them, and what the layout knows; code ``source-option``.
    """
    unknown = [name for name in options if name not in KNOWN[kind]]
    if unknown:
        known = f"Its options are {', '.join(KNOWN[kind])}." if KNOWN[kind] else "It has none: leave them out."
        raise InputError(error("source-option", f"a cohort of layout {kind} has no option {', '.join(unknown)}", known))


def made_with(options: Options) -> dict[str, Any]:
    """Return what a result is said to be made with: a list of cases by its hash, no place on any disk."""
    found: dict[str, Any] = {n: list(value) if isinstance(value, tuple) else value for n, value in options.items()}
    places = {name: found.pop(name) for name in PATHS if name in found}
    if "subset" in places:
        found["subset"] = f"list of SHA-256 {hashlib.sha256(Path(places['subset']).read_bytes()).hexdigest()[:12]}"
    return found


def as_texts(options: Options) -> list[str]:
    """Return options as they are typed: ``NAME=VALUE``."""
    return [f"{name}={','.join(v) if isinstance(v, tuple) else v}" for name, v in options.items()]
