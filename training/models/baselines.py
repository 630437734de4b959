"""The other networks of Table 1: two ablations of AxialNet, and the architectures that it is compared with.

``maxpool``
    AxialNet with the maximum over slice groups in place of the mean.
``bodycam``
    AxialNet's convolutions, global average pooling, one fully connected layer (the CAM architecture).
``bodyconv``
    ResNet-18 per slice group, 3-D convolutions over (slice group, row, column), three fully connected layers.
``ctnet``
    The same, but with slice groups as channels and convolutions over (feature, row, column). It has no map.
``conv3d``
    3DConv: 3-D convolutions from the voxels on, three fully connected layers; no ResNet and no published weights.

Layer sizes are those of the authors' code; the paper names the architectures only.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from training.geometry import Layer, output_size
from training.models.axialnet import AxialNet, custom_convolutions, resnet_of
from training.models.config import NetworkConfig
from training.models.heads import MaxHead, MultilayerHead, PooledHead
from training.models.layers import AxisLayers, SlicesAsChannels, SlicesAsDepth, layers_of
from training.models.network import Network, trunk_channels

Kernel = tuple[int, int, int]
SLICE_KERNELS: tuple[Kernel, ...] = ((3, 3, 3), (3, 3, 3), (3, 2, 2))
SLICE_STRIDES: tuple[Kernel, ...] = ((3, 1, 1), (3, 1, 1), (3, 2, 2))
"""BodyConv's and CTNet's convolutions, no padding: along the slices (CTNet: the features), rows and columns."""

SLICE_DROPOUT = 0.5
VOXEL_DROPOUT = 0.1
VOXEL_STAGES = 4
"""3DConv's convolutions with kernel and stride 3, no padding; each doubles the channels."""


class MaxPoolNet(AxialNet):
    """AxialNet whose score is the highest slice group's."""

    architectures: ClassVar[tuple[str, ...]] = ("maxpool",)
    head: MaxHead

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.head = MaxHead(self.z_shape, config.n_labels)


class BodyCAM(Network):
    """AxialNet's convolutions before global average pooling and one fully connected layer."""

    architectures: ClassVar[tuple[str, ...]] = ("bodycam",)
    head: PooledHead

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, resnet_of(config), custom_convolutions(config))
        self.head = PooledHead(self.n_features, config.n_labels)


class BodyConv(Network):
    """3-D convolutions on what ResNet-18 gives for all slice groups."""

    architectures: ClassVar[tuple[str, ...]] = ("bodyconv",)
    joins_slices: ClassVar[bool] = True
    head: MultilayerHead

    def __init__(self, config: NetworkConfig) -> None:
        steps = _slice_convolutions(trunk_channels(config), config.custom_channels)
        super().__init__(config, resnet_of(config), nn.Sequential(SlicesAsDepth(), *steps))
        self.head = MultilayerHead(_n_values(self), config.n_labels, SLICE_DROPOUT)

    def features(self, x: Tensor) -> Tensor:
        """Return what the trunk gives for each slice group, [n, 8 width, row, column]."""
        parts: Tensor = self.trunk(x)
        return parts

    def combine(self, parts: Tensor) -> Tensor:
        """Return Z [H', F, D1, D2]; a cell of its first axis has seen 27 slice groups."""
        z: Tensor = self.custom(parts)
        return z[0].transpose(0, 1)


class CTNet(Network):
    """CT-Net [Draelos 2021] in this paper's form: slice groups are channels, and features an axis to convolve over.

    Every value after the first such convolution mixes all slices with neighbouring features, so that no value belongs
    to a place along the body, and there is no map. Z [1, F, D1, D2] holds channels and feature positions as F.
    """

    architectures: ClassVar[tuple[str, ...]] = ("ctnet",)
    joins_slices: ClassVar[bool] = True
    head: MultilayerHead

    def __init__(self, config: NetworkConfig) -> None:
        steps = _slice_convolutions(config.n_groups, config.custom_channels)
        super().__init__(config, resnet_of(config), nn.Sequential(SlicesAsChannels(), *steps))
        self.head = MultilayerHead(_n_values(self), config.n_labels, SLICE_DROPOUT)

    @property
    def n_features(self) -> int:
        """Channels times positions along the trunk's features."""
        along = [Layer(k[0], s[0]) for k, s in zip(SLICE_KERNELS, SLICE_STRIDES, strict=True)]
        return self.config.custom_channels[-1] * output_size(trunk_channels(self.config), along)

    def layers(self) -> AxisLayers:
        """Return the layers before Z; along the slices one window takes the whole CT."""
        whole = self.config.shape[0]
        steps = [module for module in self.custom if not isinstance(module, SlicesAsChannels)]
        _, rows, columns = layers_of(nn.Sequential(self.trunk, *steps), self.config.group)
        return [Layer(whole, whole)], rows, columns

    def features(self, x: Tensor) -> Tensor:
        """Return what the trunk gives for each slice group, [n, 8 width, row, column]."""
        parts: Tensor = self.trunk(x)
        return parts

    def combine(self, parts: Tensor) -> Tensor:
        """Return Z [1, F, D1, D2], which has no axis along the body."""
        return torch.flatten(self.custom(parts), 1, 2)


class Conv3D(Network):
    """3DConv: four 3-D convolutions with stride 3 from the voxels on, two 1 x 1 x 1 convolutions."""

    architectures: ClassVar[tuple[str, ...]] = ("conv3d",)
    joins_slices: ClassVar[bool] = True
    head: MultilayerHead

    def __init__(self, config: NetworkConfig) -> None:
        channels = [1, *(config.width * 2**stage for stage in range(VOXEL_STAGES))]
        trunk = _convolutions(channels, ((3, 3, 3),) * VOXEL_STAGES, ((3, 3, 3),) * VOXEL_STAGES)
        points = ((1, 1, 1),) * len(config.custom_channels)
        custom = _convolutions([channels[-1], *config.custom_channels], points, points)
        super().__init__(config, nn.Sequential(*trunk), nn.Sequential(*custom))
        self.head = MultilayerHead(_n_values(self), config.n_labels, VOXEL_DROPOUT)

    def layers(self) -> AxisLayers:
        """Return the layers before Z; they start from single slices."""
        return layers_of(nn.Sequential(self.trunk, self.custom), group=1)

    def features(self, x: Tensor) -> Tensor:
        """Return the slice groups as they are: every layer sees more than one of them."""
        return x

    def combine(self, parts: Tensor) -> Tensor:
        """Return Z [H', F, D1, D2]; a cell has seen 81 slices."""
        voxels = parts.reshape(1, 1, -1, *parts.shape[2:])
        z: Tensor = self.custom(self.trunk(voxels))
        return z[0].transpose(0, 1)


def _slice_convolutions(inputs: int, outputs: Sequence[int]) -> list[nn.Module]:
    return _convolutions([inputs, *outputs], SLICE_KERNELS, SLICE_STRIDES)


def _convolutions(channels: Sequence[int], kernels: Sequence[Kernel], strides: Sequence[Kernel]) -> list[nn.Module]:
    """Return unpadded 3-D convolutions, each followed by a ReLU."""
    steps: list[nn.Module] = []
    for (inputs, outputs), kernel, stride in zip(pairwise(channels), kernels, strides, strict=True):
        steps += [nn.Conv3d(inputs, outputs, kernel, stride), nn.ReLU(inplace=True)]
    return steps


def _n_values(network: Network) -> int:
    features, rows, columns = network.z_shape
    return features * rows * columns * network.cells.n_cells[0]
