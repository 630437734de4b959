"""Training on a cohort on disk, as the command line asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.cohort.dataset import read_cohort
from training.fit import TrainConfig, Trained, load_config, override, train
from training.fit.saving import STATE_FILE
from training.fit.network import input_spec
from training.fit.presets import preset
from training.issues import InputError, error


def settings(
    name: str, file: Path | None, changes: Iterable[str], epochs: int | None = None, seed: int | None = None
) -> TrainConfig:
    """Return the preset ``name``, changed by a TOML ``file``, by ``section.name=value`` and by what has an own option.

    Raises
    ------
    InputError
        For an unknown preset and every unknown or unusable setting.
    """
    config = preset(name)
    if file is not None:
        config = load_config(file, config)
    own = {"run.epochs": epochs, "run.seed": seed}
    return override(config, [*changes, *(f"{key}={value}" for key, value in own.items() if value is not None)])


def check_run_folder(output: Path, resume: bool) -> None:
    """Refuse to start a run over an earlier one.

    Raises
    ------
    InputError
        If ``output`` holds a run and it is not to be resumed.
    """
    if (output / STATE_FILE).exists() and not resume:
        way_out = "Go on with it (--resume), or choose another folder."
        raise InputError(error("run-exists", "the folder holds an earlier training run", way_out, output.name))


def train_on_folder(
    data: Path,
    output: Path,
    config: TrainConfig,
    resume: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Trained:
    """Train on the split ``train`` of the cohort in ``data``, choosing the best epoch on its split ``valid``.

    CTs are prepared once and kept in ``output/prepared``. Without a split ``valid``, a share of the training cases is
    kept for that (``run.validation_share``).

    Raises
    ------
    InputError
        For an unusable cohort; as for :func:`training.fit.train`.
    """
    cases = read_cohort(data, input_spec(config), output / "prepared")
    if "train" not in cases:
        raise InputError(error("no-cases", "no case is of the split 'train'", "Look at labels.csv.", data.name))
    return train(config, cases["train"], output, cases.get("valid"), resume, progress)


def summary(trained: Trained) -> dict[str, Any]:
    """Return what a run came to as plain JSON types; files by their base names."""
    place = trained.place
    return {
        "last": trained.last.name,
        "best": trained.best.name,
        "epochs_done": place.epochs_done,
        "best_epoch": place.best_epoch,
        "best_loss": place.best_loss,
        "epochs": [asdict(record) for record in place.history],
    }
