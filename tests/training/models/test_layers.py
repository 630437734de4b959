"""Layers walked from modules."""

from __future__ import annotations

import pytest
from torch import nn
from torchvision.models.resnet import BasicBlock

from training.geometry import Layer
from training.models.layers import layers_of


def test_a_slice_group_is_one_window() -> None:
    assert layers_of(nn.Sequential(), 3) == ([Layer(3, 3)], [], [])


def test_windows_are_read_per_axis() -> None:
    features = nn.Sequential(nn.Conv2d(3, 4, (3, 5), (1, 2), (0, 2)), nn.ReLU(), nn.MaxPool2d(2))
    _, rows, columns = layers_of(features, 3)
    assert rows == [Layer(3, 1, 0), Layer(2, 2, 0)]
    assert columns == [Layer(5, 2, 2), Layer(2, 2, 0)]


def test_dilated_windows_reach_further() -> None:
    _, rows, _ = layers_of(nn.Conv2d(3, 4, 3, dilation=4), 3)
    assert rows == [Layer(9, 1, 0)]


def test_3d_windows_have_a_slice_axis() -> None:
    slices, rows, columns = layers_of(nn.Conv3d(1, 1, (3, 2, 1), (3, 2, 1)), 1)
    assert (slices, rows, columns) == ([Layer(1, 1), Layer(3, 3)], [Layer(2, 2)], [Layer(1)])


def test_residual_blocks_count_by_their_main_path() -> None:
    shortcut = nn.Sequential(nn.Conv2d(3, 4, 1, 2), nn.BatchNorm2d(4))
    _, rows, _ = layers_of(BasicBlock(3, 4, 2, shortcut), 3)
    assert rows == [Layer(3, 2, 1), Layer(3, 1, 1)]


def test_a_shortcut_that_looks_elsewhere_is_refused() -> None:
    shortcut = nn.Sequential(nn.Conv2d(3, 4, 2, 2))
    with pytest.raises(TypeError, match="shortcut"):
        layers_of(BasicBlock(3, 4, 2, shortcut), 3)


@pytest.mark.parametrize(
    "module", [nn.AdaptiveAvgPool2d(1), nn.MaxPool2d(2, ceil_mode=True), nn.Conv2d(1, 1, 3, padding="same")]
)
def test_modules_of_unknown_reach_are_refused(module: nn.Module) -> None:
    with pytest.raises(TypeError):
        layers_of(module, 3)
