"""What fixes a network's modules: AxialNet, its ablations and the architectures it is compared with (Table 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast, get_args

from training.preprocess import InputSpec

Architecture = Literal[
    "axialnet",
    "axialnet-same",
    "axialnet-local",
    "maxpool",
    "randinit",
    "nocustomconv",
    "bodycam",
    "ctnet",
    "bodyconv",
    "conv3d",
]

RESNET18_WIDTH = 64
CUSTOM_CHANNELS = (64, 32, 16, 16)
OWN_CHANNELS: Mapping[str, tuple[int, ...]] = {
    "nocustomconv": (),
    "ctnet": (64, 32, 16),
    "bodyconv": (64, 32, 16),
    "conv3d": (128, 64),
}
"""Custom channels of the architectures that do not have AxialNet's; their number is fixed."""


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that fixes a network's modules.

    Parameters
    ----------
    architecture
        One of ``Architecture``.
    n_labels
        Outputs, M.
    width
        Channels of the trunk's first stage; 64 is ResNet-18, state-dict compatible with torchvision's (and the
        paper's 3DConv).
    cut_stage
        Last stage of the trunk: 4 is all of it; 2 or 3 for ``axialnet-local``.
    custom_channels
        Output channels of the custom convolutions; the last one is Z's number of features, F.
    group
        Slices per slice group, the channels of the input.
    n_groups
        Slice groups of a CT, H. Only CTNet's, BodyConv's and 3DConv's modules depend on it.
    in_plane
        Rows and columns of the input.

    Raises
    ------
    ValueError
        If values do not fit together.
    """

    architecture: Architecture = "axialnet"
    n_labels: int = 80
    width: int = RESNET18_WIDTH
    cut_stage: int = 4
    custom_channels: tuple[int, ...] = CUSTOM_CHANNELS
    group: int = 3
    n_groups: int = 135
    in_plane: tuple[int, int] = (420, 420)

    def __post_init__(self) -> None:
        object.__setattr__(self, "custom_channels", tuple(int(c) for c in self.custom_channels))
        object.__setattr__(self, "in_plane", tuple(int(n) for n in self.in_plane))
        if self.architecture not in get_args(Architecture):
            raise ValueError(f"architecture must be one of {', '.join(get_args(Architecture))}: {self.architecture!r}")
        stages = (2, 3) if self.architecture == "axialnet-local" else (4,)
        if self.cut_stage not in stages:
            raise ValueError(f"cut_stage of {self.architecture} must be one of {stages}, got {self.cut_stage}")
        self._check_sizes()

    def _check_sizes(self) -> None:
        own = OWN_CHANNELS.get(self.architecture)
        if own is not None and len(self.custom_channels) != len(own):
            raise ValueError(f"{self.architecture} has {len(own)} custom channels, got {self.custom_channels}")
        numbers = (self.n_labels, self.width, self.group, self.n_groups, *self.custom_channels, *self.in_plane)
        if not (self.custom_channels or own == ()) or len(self.in_plane) != 2 or min(numbers) < 1:
            raise ValueError(f"sizes must be positive whole numbers, got {self}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the input: (slice, row, column)."""
        return (self.n_groups * self.group, *self.in_plane)

    @classmethod
    def from_spec(cls, architecture: str, spec: InputSpec, n_labels: int, **options: Any) -> NetworkConfig:
        """Return the configuration that takes inputs of ``spec``; ``options`` are further fields.

        Custom channels are the architecture's own unless said otherwise; ``axialnet-local`` is cut after stage 2.
        """
        if architecture == "axialnet-local":
            options.setdefault("cut_stage", 2)
        options.setdefault("custom_channels", OWN_CHANNELS.get(architecture, CUSTOM_CHANNELS))
        options |= {"group": spec.group, "n_groups": spec.n_groups, "in_plane": spec.shape[1:]}
        return cls(cast(Architecture, architecture), n_labels, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkConfig:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        ValueError
            If a field is unknown or not valid.
        """
        try:
            return cls(**data)
        except TypeError as reason:
            raise ValueError(f"not a network's configuration: {reason}") from reason
