"""A model: a network with everything that is needed to use it and to say what it is."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn

from training.geometry import CellLayout
from training.models.config import NetworkConfig
from training.models.heads import FloatArray32, Guarantee, closed_form, fully_connected
from training.models.network import Network
from training.preprocess import InputSpec
from training.words import counted

NOT_FOR_CLINICAL_USE = "For research only; not for clinical use."


@dataclass(frozen=True)
class CheckpointMetadata:
    """What is known about a model's numbers. Plain JSON types throughout; what is not known is None, never NaN.

    Parameters
    ----------
    mean_probability
        Mean predicted probability per label over the data the model was validated on.
    threshold
        Probability from which a label counts as predicted, per label.
    training
        Provenance of the training: data, seeds, settings, software.
    evaluation
        Held-out results.
    licence
        Licence of the weights.
    """

    mean_probability: dict[str, float] = field(default_factory=dict)
    threshold: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    licence: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


@dataclass(eq=False)
class Model:
    """A network, its labels and its input.

    Parameters
    ----------
    network
        In evaluation mode; it is run by :func:`training.models.execute.run`.
    labels
        Names of the outputs, in their order.
    input_spec
        What the network wants to see.
    name
        How a user calls it.
    sha256
        Of the checkpoint file, or of the weights where there is no file.
    metadata
        Numbers and provenance.

    Raises
    ------
    ValueError
        If labels, input spec and network do not fit together.
    """

    network: Network
    labels: tuple[str, ...]
    input_spec: InputSpec
    name: str
    sha256: str = ""
    metadata: CheckpointMetadata = field(default_factory=CheckpointMetadata)
    guarantee: Guarantee = field(init=False)

    def __post_init__(self) -> None:
        self.labels = tuple(self.labels)
        config = self.network.config
        if reason := labels_misfit(config, self.labels) or spec_misfit(config, self.input_spec):
            raise ValueError(reason)
        self.sha256 = self.sha256 or weights_sha256(self.network)
        self.guarantee = self.network.guarantee()

    @property
    def architecture(self) -> str:
        """Name of the architecture."""
        return self.network.config.architecture

    @property
    def cells(self) -> CellLayout:
        """How many cells Z has, and what each sees of the model input (slice, row, column)."""
        return self.network.cells

    @property
    def z_shape(self) -> tuple[int, int, int, int]:
        """Shape of Z: (H, F, D1, D2); H counts slice groups, or cells where the network convolves over slices."""
        features, rows, columns = self.network.z_shape
        return (self.cells.n_cells[0], features, rows, columns)

    def closed_form(self) -> tuple[FloatArray32, FloatArray32]:
        """Return the head's (W [M, F, D1, D2], b [M]); see :func:`training.models.heads.closed_form`."""
        return closed_form(self.network.head, self.network.z_shape)

    def fully_connected(self) -> tuple[FloatArray32, FloatArray32]:
        """Return the one layer's (W [M, F, D1, D2], b [M]); see :func:`training.models.heads.fully_connected`."""
        return fully_connected(self.network.head, self.network.z_shape)


def labels_misfit(config: NetworkConfig, labels: tuple[str, ...]) -> str:
    """Return why ``labels`` cannot name the outputs of such a network; empty if they can."""
    if len(labels) != config.n_labels:
        return f"the network has {counted(config.n_labels, 'output')}, the label list {counted(len(labels), 'name')}"
    if len(set(labels)) != len(labels) or not all(labels):
        return "label names must be different and not empty"
    return ""


def spec_misfit(config: NetworkConfig, spec: InputSpec) -> str:
    """Return why such a network cannot take inputs of ``spec``; empty if it can."""
    expected = config.shape
    if spec.shape == expected and spec.group == config.group:
        return ""
    return (
        f"the network takes {expected} voxels in groups of {config.group}, "
        f"the input spec says {spec.shape} in groups of {spec.group}"
    )


def weights_sha256(network: nn.Module) -> str:
    """Return the SHA-256 of all weights and buffers: names, shapes, types and bytes in state-dict order."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name}{tuple(values.shape)}{values.dtype}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()
