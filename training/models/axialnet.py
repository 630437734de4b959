"""AxialNet (section 4 of the paper) and its two relatives: a 2-D trunk per slice group, custom convolutions, one layer.

``axialnet``
    ResNet-18 without its last two children, four unpadded 3 x 3 convolutions (14 x 14 -> 6 x 6), one fully connected
    layer shared by the slice groups, mean over slice groups. Every cell's receptive field is wider than the slice.
``axialnet-same``
    The same with padded convolutions: 14 x 14 cells stay.
``axialnet-local``
    The trunk is cut after stage 2 or 3 and the custom convolutions are 1 x 1, so that a cell sees a stated box only.

Two of Table 1's ablations are AxialNets too: ``randinit`` (the trunk starts from random weights) and ``nocustomconv``
(the layer sits on the trunk's 512 x 14 x 14 features). The others are in :mod:`training.models.baselines`.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import ClassVar

from torch import nn
from torchvision.models.resnet import BasicBlock, conv1x1

from training.models.config import NetworkConfig
from training.models.heads import AxialHead
from training.models.network import Network, seeded, trunk_channels

BLOCKS_PER_STAGE = 2

AxialNetConfig = NetworkConfig
"""The configuration under the name by which AxialNet's own callers know it."""


class AxialNet(Network):
    """A 2-D network that sees the slice groups of one CT as its batch, one shared layer, and a mean.

    Parameters
    ----------
    config
        What to build. ``randinit`` is the same network; only where its trunk's weights come from differs.
    """

    architectures: ClassVar[tuple[str, ...]] = (
        "axialnet",
        "axialnet-same",
        "axialnet-local",
        "randinit",
        "nocustomconv",
    )
    head: AxialHead

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, resnet_of(config), custom_convolutions(config))
        self.head = AxialHead(self.z_shape, config.n_labels)


def resnet_of(config: NetworkConfig) -> nn.Sequential:
    """Return the trunk that ``config`` asks for."""
    return resnet_trunk(config.group, config.width, config.cut_stage)


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


def custom_convolutions(config: NetworkConfig) -> nn.Sequential:
    """Return the convolutions between trunk and Z, each followed by a ReLU (the last one too); no normalisation."""
    kernel = 1 if config.architecture == "axialnet-local" else 3
    padding = 1 if config.architecture == "axialnet-same" else 0
    channels = [trunk_channels(config), *config.custom_channels]
    steps: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        steps += [nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.ReLU(inplace=True)]
    return nn.Sequential(*steps)


def build_network(config: NetworkConfig, seed: int | None = None) -> AxialNet:
    """Return an AxialNet with random weights, in evaluation mode; the same for the same ``seed``.

    The global random state is left as it was where a seed is given.
    """
    return seeded(AxialNet, config, seed)
