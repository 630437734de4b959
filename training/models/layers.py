"""What a network of convolutions does to positions: its layers per axis, walked from the modules themselves."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from training.geometry import Layer, receptive_field

AxisLayers = tuple[list[Layer], list[Layer], list[Layer]]
"""Layers along (slice, row, column), first to last."""


class SlicesAsDepth(nn.Module):
    """[H, F, D1, D2] -> [1, F, H, D1, D2]: one 3-D picture with the slice groups along its first axis."""

    def forward(self, parts: Tensor) -> Tensor:
        """Return the same values as one 3-D picture."""
        return parts.transpose(0, 1)[None]


class SlicesAsChannels(nn.Module):
    """[H, F, D1, D2] -> [1, H, F, D1, D2]: slice groups become channels and features an axis to convolve over."""

    def forward(self, parts: Tensor) -> Tensor:
        """Return the same values as one 3-D picture whose first axis are the features."""
        return parts[None]


_POINTWISE = (nn.BatchNorm2d, nn.BatchNorm3d, nn.ReLU, nn.Identity, nn.Dropout, SlicesAsDepth)
_WINDOWED = (nn.Conv2d, nn.Conv3d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AvgPool3d)


def layers_of(features: nn.Module, group: int) -> AxisLayers:
    """Return the layers of ``features`` for inputs of ``group`` adjacent slices per slice group.

    2-D networks take a slice group as the channels of one picture, which along the slice axis is one window of
    ``group`` slices moved by ``group``. Residual blocks count by their main path, which holds the shortcut's field.

    Raises
    ------
    TypeError
        If a module is of a kind whose reach is not known.
    """
    slices, rows, columns = _walk(features)
    return [Layer(group, group), *slices], rows, columns


def _walk(module: nn.Module) -> AxisLayers:
    if isinstance(module, _POINTWISE):
        return [], [], []
    if isinstance(module, _WINDOWED):
        return _window(module)
    if isinstance(module, BasicBlock):
        return _block(module)
    if isinstance(module, nn.Sequential):
        return _joined([_walk(child) for child in module])
    raise TypeError(f"the reach of a {type(module).__name__} is not known")


def _joined(parts: list[AxisLayers]) -> AxisLayers:
    along = [[layer for part in parts for layer in part[axis]] for axis in range(3)]
    return along[0], along[1], along[2]


def _block(block: BasicBlock) -> AxisLayers:
    main = _joined([_walk(block.conv1), _walk(block.conv2)])
    shortcut = _walk(block.downsample) if block.downsample is not None else ([], [], [])
    for long, short in zip(main, shortcut, strict=True):
        whole, part = receptive_field(long), receptive_field(short)
        if (whole.jump_px, whole.start_px) != (part.jump_px, part.start_px) or part.size_px > whole.size_px:
            raise TypeError("a residual block's shortcut does not look at the middle of its main path's field")
    return main


def _window(module: nn.Module) -> AxisLayers:
    """Layers of one convolution or pooling; a 2-D one leaves the slice axis alone."""
    if getattr(module, "ceil_mode", False):
        raise TypeError("windows that reach over the edge (ceil_mode) are not supported")
    is_3d = isinstance(module, (nn.Conv3d, nn.MaxPool3d, nn.AvgPool3d))
    n = 3 if is_3d else 2
    sizes = (_per_axis(getattr(module, name, 1), n) for name in ("kernel_size", "stride", "padding", "dilation"))
    layers = [[Layer(d * (k - 1) + 1, s, p)] for k, s, p, d in zip(*sizes, strict=True)]
    return (layers[0], layers[1], layers[2]) if is_3d else ([], layers[0], layers[1])


def _per_axis(value: object, n: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * n
    if isinstance(value, tuple) and all(isinstance(v, int) for v in value):
        return value
    raise TypeError(f"a window of {value!r} is not supported")
