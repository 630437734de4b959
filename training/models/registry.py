"""Models by name: a checkpoint file, ``demo``, or ``ARCHITECTURE:random``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from training.issues import InputError, error
from training.labels import label_names
from training.models.build import new_network
from training.models.checkpoint import load_checkpoint
from training.models.config import Architecture, NetworkConfig
from training.models.model import CheckpointMetadata, Model
from training.models.weights import NOT_PRETRAINED
from training.preprocess import InputSpec

ARCHITECTURES: tuple[str, ...] = get_args(Architecture)
"""Names of the architectures."""

NAMED: Mapping[str, Mapping[str, Any]] = {
    **{name: {"architecture": name} for name in ARCHITECTURES},
    "axialnet-local-3": {"architecture": "axialnet-local", "cut_stage": 3},
}
"""What is listed and can be made with random weights: every architecture, and ``axialnet-local`` cut after stage 3."""

DEMO = "demo"
_RANDOM = re.compile(r"(?P<architecture>[a-z0-9-]+):random(?::(?P<seed>\d+))?")


def demo_path() -> Path:
    """Return where the checkpoint called ``demo`` lies."""
    return Path(str(files("training.data").joinpath("demo.safetensors")))


def load_model(name_or_path: str | Path) -> Model:
    """Return the model that ``name_or_path`` means.

    Parameters
    ----------
    name_or_path
        A checkpoint file; ``demo``; or ``ARCHITECTURE:random`` or ``ARCHITECTURE:random:SEED`` for full-size random
        weights (seed 0 by default), which exist to measure speed and to test exactness.

    Raises
    ------
    InputError
        If it means nothing, or the checkpoint is refused.
    """
    text = str(name_or_path)
    if text == DEMO:
        return _load_demo()
    match = _RANDOM.fullmatch(text)
    if match and match["architecture"] in NAMED:
        return build_model(**NAMED[match["architecture"]], seed=int(match["seed"] or 0), name=text)
    path = Path(name_or_path)
    if text and path.exists():
        return load_checkpoint(path)
    choices = ", ".join([DEMO, *(f"{name}:random" for name in NAMED)])
    way_out = f"Give a checkpoint file (.safetensors), or one of: {choices}."
    code = "checkpoint-missing" if path.suffix or path.parent != Path() else "model-unknown"  # meant to be a file
    raise InputError(error(code, f"there is no model or file called {path.name!r}.", way_out))


def _load_demo() -> Model:
    path = demo_path()
    if not path.is_file():
        way_out = "Install the package again, or give the file of another model."
        raise InputError(error("model-demo-missing", "the demo model is not in this installation.", way_out, path.name))
    return load_checkpoint(path, name=DEMO)


def build_model(
    architecture: str,
    labels: Sequence[str] | None = None,
    spec: InputSpec | None = None,
    seed: int = 0,
    name: str = "",
    **options: Any,
) -> Model:
    """Return a model with random weights, the same for the same ``seed``.

    Parameters
    ----------
    architecture
        One of ``ARCHITECTURES``.
    labels
        Names of the outputs; the paper's 80 by default.
    spec
        The input; the paper's by default.
    options
        Further fields of :class:`training.models.config.NetworkConfig`, such as ``width`` or ``cut_stage``.
    """
    names = tuple(label_names() if labels is None else labels)
    spec = spec or InputSpec()
    config = NetworkConfig.from_spec(architecture, spec, len(names), **options)
    training: dict[str, Any] = {"weights": "random", "seed": seed}
    if architecture in NOT_PRETRAINED:
        training["pretrained"] = False
    metadata = CheckpointMetadata(training=training)
    return Model(new_network(config, seed), names, spec, name or f"{architecture}:random:{seed}", metadata=metadata)
