"""AxialNet (section 4 of the paper) and its two relatives: a 2-D trunk per slice group, custom convolutions, one layer.

``axialnet``
    ResNet-18 without its last two children, four unpadded 3 x 3 convolutions (14 x 14 -> 6 x 6), one fully connected
    layer shared by the slice groups, mean over slice groups. Every cell's receptive field is wider than the slice.
``axialnet-same``
    The same with padded convolutions: 14 x 14 cells stay.
``axialnet-local``
    The trunk is cut after stage 2 or 3 and the custom convolutions are 1 x 1, so that a cell sees a stated box only.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, conv1x1

from training.geometry import CellLayout, output_size, receptive_field
from training.models.heads import AxialHead
from training.models.layers import AxisLayers, layers_of
from training.preprocess import InputSpec

Architecture = Literal["axialnet", "axialnet-same", "axialnet-local"]

RESNET18_WIDTH = 64
BLOCKS_PER_STAGE = 2
CUSTOM_CHANNELS = (64, 32, 16, 16)


@dataclass(frozen=True)
class AxialNetConfig:
    """Everything that fixes an AxialNet's modules.

    Parameters
    ----------
    architecture
        One of the three.
    n_labels
        Outputs, M.
    width
        Channels of the trunk's first stage; 64 is ResNet-18, state-dict compatible with torchvision's.
    cut_stage
        Last stage of the trunk: 4 is all of it; 2 or 3 for ``axialnet-local``.
    custom_channels
        Output channels of the custom convolutions; the last one is Z's number of features, F.
    group
        Slices per slice group, the channels of the input.
    n_groups
        Slice groups of a CT, H. The modules do not depend on it.
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
        numbers = (self.n_labels, self.width, self.group, self.n_groups, *self.custom_channels, *self.in_plane)
        if not self.custom_channels or len(self.in_plane) != 2 or min(numbers) < 1:
            raise ValueError(f"sizes must be positive whole numbers, got {self}")

    @classmethod
    def from_spec(cls, architecture: str, spec: InputSpec, n_labels: int, **options: Any) -> AxialNetConfig:
        """Return the configuration that takes inputs of ``spec``; ``options`` are further fields.

        ``axialnet-local`` is cut after stage 2 unless ``cut_stage`` says otherwise.
        """
        if architecture == "axialnet-local":
            options.setdefault("cut_stage", 2)
        options |= {"group": spec.group, "n_groups": spec.n_groups, "in_plane": spec.shape[1:]}
        return cls(cast(Architecture, architecture), n_labels, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> AxialNetConfig:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        ValueError
            If a field is unknown or not valid.
        """
        try:
            return cls(**data)
        except TypeError as reason:
            raise ValueError(f"not an AxialNet configuration: {reason}") from reason


class AxialNet(nn.Module):
    """A 2-D network that sees the slice groups of one CT as its batch.

    Parameters
    ----------
    config
        What to build.

    Raises
    ------
    ValueError
        If the input is too small for the unpadded convolutions to leave a cell.

    Notes
    -----
    In training mode batch normalisation sees the slice groups of the CT as its batch; in evaluation mode slice groups
    do not depend on each other, so they can run in any chunks.
    """

    def __init__(self, config: AxialNetConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = resnet_trunk(config.group, config.width, config.cut_stage)
        self.custom = custom_convolutions(config)
        layout = self.cells
        if min(layout.n_cells) < 1:
            rows, columns = config.in_plane
            raise ValueError(
                f"an input of {rows} x {columns} px is too small for {config.architecture}: no cell is left"
            )
        self.z_shape = (config.custom_channels[-1], layout.n_cells[1], layout.n_cells[2])
        self.head = AxialHead(self.z_shape, config.n_labels)

    @property
    def cells(self) -> CellLayout:
        """How many cells Z has and what each sees of the model input, from the modules and the input size."""
        layers = self.layers()
        sizes = (self.config.n_groups * self.config.group, *self.config.in_plane)
        n_cells = [output_size(n, along) for n, along in zip(sizes, layers, strict=True)]
        slices, rows, columns = (receptive_field(along) for along in layers)
        return CellLayout((n_cells[0], n_cells[1], n_cells[2]), (slices, rows, columns))

    def layers(self) -> AxisLayers:
        """Return the layers before Z along (slice, row, column)."""
        return layers_of(nn.Sequential(self.trunk, self.custom), self.config.group)

    def features(self, x: Tensor) -> Tensor:
        """Return Z [n, F, D1, D2], not negative, for slice groups x [n, group, row, column]."""
        z: Tensor = self.custom(self.trunk(x))
        return z

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores [M] (before the sigmoid) of the CT whose slice groups are x [H, group, row, column]."""
        scores: Tensor = self.head(self.features(x))
        return scores


def resnet_trunk(in_channels: int, width: int, cut_stage: int) -> nn.Sequential:
    """Return ResNet-18 [He 2016] up to stage ``cut_stage``, with torchvision's blocks, names and initial values."""
    children: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3, bias=False),
        bn1=nn.BatchNorm2d(width),
        relu=nn.ReLU(inplace=True),
        maxpool=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    )
    planes = width
    for stage in range(1, cut_stage + 1):
        inputs, planes = planes, width * 2 ** (stage - 1)
        children[f"layer{stage}"] = _stage(inputs, planes, stride=1 if stage == 1 else 2)
    trunk = nn.Sequential(children)
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return trunk


def _stage(inputs: int, planes: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or inputs != planes:
        shortcut = nn.Sequential(conv1x1(inputs, planes, stride), nn.BatchNorm2d(planes))
    first = BasicBlock(inputs, planes, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(planes, planes) for _ in range(BLOCKS_PER_STAGE - 1)))


def custom_convolutions(config: AxialNetConfig) -> nn.Sequential:
    """Return the convolutions between trunk and Z, each followed by a ReLU (the last one too); no normalisation."""
    kernel = 1 if config.architecture == "axialnet-local" else 3
    padding = 1 if config.architecture == "axialnet-same" else 0
    channels = [config.width * 2 ** (config.cut_stage - 1), *config.custom_channels]
    steps: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        steps += [nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.ReLU(inplace=True)]
    return nn.Sequential(*steps)


def build_network(config: AxialNetConfig, seed: int | None = None) -> AxialNet:
    """Return a network with random weights, in evaluation mode; the same for the same ``seed``.

    The global random state is left as it was where a seed is given.
    """
    if seed is None:
        return AxialNet(config).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AxialNet(config).eval()
