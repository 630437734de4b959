"""Training on a cohort on disk, as the command line asks for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.cohort.output import check_cache_folder, check_own_folder
from training.cohort.sources import CohortDataset, by_split, checked, find_source
from training.cohort.sources.options import changed
from training.fit import TrainConfig, Trained, load_config, override, to_toml, train
from training.fit.log import counted_from_1
from training.fit.network import input_spec
from training.fit.presets import preset
from training.fit.processes import is_main
from training.fit.saving import STATE_FILE
from training.io.atomic import atomic_path
from training.issues import InputError, Issue, error

CONFIG_FILE = "config.toml"
"""The settings of a run, in its folder."""
CACHE_FOLDER = "prepared"
PHANTOMS_FOLDER = "phantoms"
_OWN_CONFIG = (
    "Mend it; or give the settings of the run by --preset, --config and --set, which then count instead of it."
)
_NO_CONFIG = "Put the file back, or give the settings of the run by --preset or --config, and --set."
MAX_LABELLERS = 8
"""Most processes that label reports."""


def settings(
    name: str | None,
    file: Path | None,
    changes: Iterable[str],
    own: Mapping[str, object] | None = None,
    resumed: Path | None = None,
    source: Iterable[str] = (),
) -> TrainConfig:
    """Return the preset ``name``, changed by a TOML ``file``, by ``section.name=value`` and by ``own`` options.

    ``source`` are options of the cohort's layout, ``name=value``; paths among them become absolute.

    Without a preset and a file, the settings of the run in the folder ``resumed`` come first; else preset ``paper``.

    Raises
    ------
    InputError
        For an unknown preset and every unknown or unusable setting; if the settings of the run to resume are gone.
    """
    config, faults = preset(name or "paper"), list[Issue]()
    try:
        if file is not None:
            config = load_config(file, config)
        elif name is None and resumed is not None and (resumed / CONFIG_FILE).is_file():
            config = load_config(resumed / CONFIG_FILE, way_out=_OWN_CONFIG)
        elif name is None and resumed is not None and (resumed / STATE_FILE).is_file():
            fact = f"the settings of the run in {resumed.name!r} are missing, so it cannot be resumed by them"
            raise InputError(error("no-settings", fact, _NO_CONFIG, CONFIG_FILE))
    except InputError as refusal:
        faults += refusal.issues
    try:
        config = override(config, [*changes, *(f"{key}={json.dumps(value)}" for key, value in (own or {}).items())])
    except InputError as refusal:
        faults += refusal.issues
    try:
        config = replace(config, source=changed(config.source, source))
    except InputError as refusal:
        faults += refusal.issues
    if faults:
        raise InputError(faults)
    return config


def check_run_folder(output: Path, resume: bool) -> None:
    """Refuse to start a run over an earlier one.

    Raises
    ------
    InputError
        If ``output`` holds a run and it is not to be resumed, or something that no run made.
    """
    if (output / STATE_FILE).exists() and not resume:
        way_out = "Go on with it (--resume), or choose another folder."
        raise InputError(error("run-exists", "the folder holds an earlier training run", way_out, output.name))
    check_own_folder(output, lambda folder: resume or _is_of_a_run(folder), "training run")


def _is_of_a_run(folder: Path) -> bool:
    """Return whether a folder without a state is what a run left that was stopped at its very start."""
    names = {item.name for item in folder.iterdir()} - {CACHE_FOLDER, PHANTOMS_FOLDER}
    if CONFIG_FILE not in names:
        return all(name.startswith(".partial-") for name in names)
    try:
        load_config(folder / CONFIG_FILE)
    except InputError:
        return False
    return True


def open_cases(
    data: Path, config: TrainConfig, cache: Path, kind: str | None = None
) -> tuple[dict[str, CohortDataset], tuple[Issue, ...]]:
    """Return the cases of the cohort ``data`` by split, and what its tables leave to be said.

    Raises
    ------
    InputError
        ``data`` is no cohort, its tables have errors, or no case is of the split ``train``.
    """
    labellers = min(MAX_LABELLERS, os.cpu_count() or 1)
    source = find_source(data, kind, cache / "reports", labellers, config.source.given())
    listing = checked(source)
    splits = by_split(source, listing, input_spec(config), cache)
    if "train" not in splits:
        way_out = "Look at the column of splits, or at the folders."
        raise InputError((*listing.issues, error("no-cases", "no case is of the split 'train'", way_out, data.name)))
    return splits, listing.issues


def train_on_folder(
    data: Path,
    output: Path,
    config: TrainConfig,
    resume: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
    tell: Callable[[str], None] | None = None,
    kind: str | None = None,
    cache: Path | None = None,
) -> Trained:
    """Train on the split ``train`` of the cohort in ``data``, choosing the best epoch on its split ``valid``.

    CTs are prepared once and kept in ``cache`` (``output/prepared``), the settings in ``output/config.toml``. Without a
    split ``valid``, a share of the training cases is kept for that (``run.validation_share``).

    Raises
    ------
    InputError
        For an unusable cohort; as for :func:`training.fit.train`.
    """
    check_cache_folder(cache, "prepared CTs", "--cache")
    splits, issues = open_cases(data, config, cache or output / CACHE_FOLDER, kind)
    if tell is not None:
        for issue in issues:
            tell(str(issue))

    def keep_settings() -> None:
        if is_main():
            with atomic_path(output / CONFIG_FILE) as partial:
                partial.write_text(to_toml(config), encoding="utf-8")

    return train(config, splits["train"], output, splits.get("valid"), resume, progress, tell=tell, ready=keep_settings)


def summary(trained: Trained) -> dict[str, Any]:
    """Return what a run came to as plain JSON types; files by their base names, epochs counted from 1."""
    place = trained.place
    return {
        "last": trained.last.name,
        "best": trained.best.name,
        "epochs_done": place.epochs_done,
        "best_epoch_index": place.best_epoch,
        "best_loss": place.best_loss,
        "epochs": [counted_from_1(record) for record in place.history],
    }
