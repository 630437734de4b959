"""The state of a training run on disk: weights, optimizer and place in the run, in one safetensors file.

One file, written whole or not at all, so that weights and optimizer can never come from different moments. Nothing is
pickled: tensors are tensors, everything else is JSON in the file's header. The header holds a SHA-256 of all the rest,
so that a file that a disk or a copy has changed is refused, not trained on with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from training.io.atomic import atomic_path, readable_by_others
from training.issues import InputError, error
from training.models.tensorfile import CHECKSUM, is_whole, sealed, write_tensors

FORMAT = "hirescam-training-state-3"
EARLIER_FORMAT = "hirescam-training-state-2"
"""The same without a checksum; still read."""

_WAY_OUT = (
    "Put a copy of it back if there is one, or train anew in another folder (--output); the last and the best "
    "checkpoint beside it are models that can be used."
)


@dataclass(frozen=True)
class EpochRecord:
    """What an epoch came to.

    ``validation_loss`` is None where there are no validation cases, ``training_mask_loss`` (before its weight) without
    a mask loss. ``data_wait_share`` is the share of the training time in which the main process waited for CTs.
    """

    epoch: int
    training_loss: float
    training_mask_loss: float | None
    validation_loss: float | None
    learning_rate: float
    seconds: float
    cpu_seconds: float
    cases_per_second: float
    data_wait_share: float


@dataclass(frozen=True)
class Partial:
    """Sums over the steps that an unfinished epoch has made: losses over cases, and seconds of the main process."""

    steps: int = 0
    loss: float = 0.0
    mask_loss: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    data_wait_seconds: float = 0.0

    def __add__(self, other: Partial) -> Partial:
        """Return both sums together."""
        return Partial(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Place:
    """How far a run has come: finished epochs, steps, the best epoch so far, the records, and the epoch under way."""

    epochs_done: int = 0
    steps_done: int = 0
    best_epoch: int | None = None
    best_loss: float | None = None
    history: tuple[EpochRecord, ...] = field(default=())
    partial: Partial = field(default=Partial())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Place:
        """Return the place of plain JSON types."""
        history = tuple(EpochRecord(**record) for record in data["history"])
        return cls(**{**data, "history": history, "partial": Partial(**data["partial"])})


def save_state(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, place: Place, recipe: Mapping[str, Any]
) -> None:
    """Write the state of a run; ``recipe`` (JSON types) is what must agree when the run is resumed.

    Raises
    ------
    InputError
        If the disk is full or the place cannot be written; an earlier state there stays as it was.
    """
    tensors = {f"network.{name}": value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value).detach().cpu().contiguous()
    header = {"format": FORMAT, "place": json.dumps(asdict(place)), "recipe": json.dumps(recipe)}
    with atomic_path(path) as temporary:
        write_tensors(temporary, tensors, sealed(header, tensors))
        readable_by_others(temporary)


def load_state(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, recipe: Mapping[str, Any]) -> Place:
    """Put a saved state into ``network`` and ``optimizer`` and return the place of the run.

    Raises
    ------
    InputError
        If there is no state, it cannot be read, or it belongs to a run with another recipe.
    """
    header, tensors = _read(path)
    saved = json.loads(header["recipe"])
    if saved != json.loads(json.dumps(recipe)):
        changed = sorted(key for key in {*saved, *recipe} if saved.get(key) != json.loads(json.dumps(recipe)).get(key))
        fact = f"the run to resume was started with other settings ({', '.join(changed)})."
        raise InputError(error("other-recipe", fact, "Use its settings, or another --output.", path.name))
    network.load_state_dict(_under(tensors, "network."))
    for name, parameter in network.named_parameters():
        state = {key: tensors[f"optimizer.{key}.{name}"] for key in _optimizer_keys(tensors, name)}
        if state:
            optimizer.state[parameter] = {key: _placed(key, value, parameter) for key, value in state.items()}
    return Place.from_dict(json.loads(header["place"]))


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise InputError(error("nothing-to-resume", "there is no saved run here.", "Leave out --resume.", path.name))
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as fault:
        raise InputError(error("bad-state", f"cannot be read: {fault}.", _WAY_OUT, path.name)) from fault
    if header.get("format") not in (FORMAT, EARLIER_FORMAT):
        fact = f"is not the state of a training run that this program can read ({header.get('format', 'no format')})."
        raise InputError(error("bad-state", fact, _WAY_OUT, path.name))
    if (header["format"] == FORMAT and CHECKSUM not in header) or not is_whole(header, tensors):
        fact = "is damaged: it does not match its checksum."
        raise InputError(error("bad-state", fact, _WAY_OUT, path.name))
    return header, tensors


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _optimizer_keys(tensors: Mapping[str, Tensor], parameter: str) -> list[str]:
    names = (name.removeprefix("optimizer.").split(".", 1) for name in tensors if name.startswith("optimizer."))
    return [key for key, rest in names if rest == parameter]


def _placed(key: str, value: Tensor, parameter: Tensor) -> Tensor:
    """Return an optimizer tensor where torch keeps it: the step count on the CPU, the rest beside its parameter."""
    return value.clone() if key == "step" else value.to(parameter.device).clone()
