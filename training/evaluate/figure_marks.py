"""What every figure of a slice carries: sides, a bar in mm, a colour bar; and the maps' colours for matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.explain.display import AGAINST_COLORS, DIVERGING_CONTROLS, FOR_COLORS, FOR_CONTROLS, ColormapKind
from training.geometry import Geometry
from training.picture import to_display
from training.words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patheffects import AbstractPathEffect

Extent = tuple[float, float, float, float]
"""Left, right, bottom and top edge in mm of the display frame; rows run down."""

BACKGROUND = "black"
OUTLINE_COLOR = "#5dff9b"
"""Of regions over maps."""

_LETTER, _INK = "#ff8c1a", "white"
_LETTER_POINTS, _BAR_POINTS = 8.0, 9.0
"""Distance from the edge of a picture, whatever its size: letters' middles, the bar."""


def plane_extent(geometry: Geometry) -> Extent:
    """Return left, right, bottom and top edge of a canonical grid's slices, mm of the display frame (rows run down)."""
    low = to_display(geometry.to_world((0, -0.5, -0.5)))
    high = to_display(geometry.to_world([0, geometry.shape[1] - 0.5, geometry.shape[2] - 0.5]))
    return (float(low[2]), float(high[2]), float(high[1]), float(low[1]))


def framed(extent: Extent, least: float = 0.6, most: float = 1.3) -> Extent:
    """Return ``extent`` with margins that bring its height over its width into ``least`` to ``most``.

    So that slices which are cut very low or narrow leave room for what is written on and beside them.
    """
    left, right, bottom, top = extent
    width, height = right - left, bottom - top
    wider, higher = max(0.0, height / most - width) / 2, max(0.0, width * least - height) / 2
    return (left - wider, right + wider, bottom + higher, top - higher)


def colormap(kind: ColormapKind, opacity: float = 1.0) -> LinearSegmentedColormap:
    """Return the viewer's colormap of a map, transparent where there is no evidence.

    ``opacity`` belongs into the colours: matplotlib applies that of an image twice where it lays images together for
    SVG and PDF.
    """
    from matplotlib.colors import LinearSegmentedColormap

    points = list(zip(FOR_CONTROLS, FOR_COLORS, strict=True))
    if kind == "diverging":
        points = list(zip(DIVERGING_CONTROLS, (*AGAINST_COLORS, *FOR_COLORS), strict=True))
    drawn = [(at, (red, green, blue, alpha * opacity)) for at, (red, green, blue, alpha) in points]
    return LinearSegmentedColormap.from_list(f"evidence, {kind}", drawn)


def draw_outline(
    axes: Axes, cells: npt.NDArray[Any], extent: Extent, color: str = OUTLINE_COLOR, width: float = 1.0
) -> None:
    """Draw the border of the ``cells`` [D1, D2] that are not 0, along the cells' edges; ``extent`` is that of all."""
    fine = np.kron(cells > 0, np.ones((8, 8)))
    if fine.min() == fine.max():
        return
    left, right, bottom, top = extent
    rows, columns = ((np.arange(n) + 0.5) / n for n in fine.shape)
    x, y = left + columns * (right - left), top + rows * (bottom - top)
    axes.contour(x, y, fine, levels=[0.5], colors=color, linewidths=width)


def mark_sides(axes: Axes) -> None:
    """Write the patient's sides at the edges of a canonical slice: R and L, A and P."""
    (front, back), (right, left) = Geometry.canonical((2, 2, 2), (1.0, 1.0, 1.0)).axis_letters()[1:]
    inward = _LETTER_POINTS
    look: Any = {"color": _LETTER, "fontsize": 10, "fontweight": "bold", "path_effects": _outlined()}
    look |= {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "center"}
    for at, offset, letter in (
        ((0.0, 0.5), (inward, 0), right),
        ((1.0, 0.5), (-inward, 0), left),
        ((0.5, 1.0), (0, -inward), front),
        ((0.5, 0.0), (0, inward), back),
    ):
        axes.annotate(letter, at, offset, **look)


def bar_length_mm(width_mm: float) -> int:
    """Return a round length of at most a third of ``width_mm``: 1, 2 or 5 times a power of ten, at least 1 mm."""
    lengths = [m * 10**e for e in range(4) for m in (1, 2, 5)]
    return max([length for length in lengths if length <= width_mm / 3], default=1)


def draw_mm_bar(axes: Axes, extent: Extent) -> None:
    """Draw a bar with its length in mm at the lower right; ``extent`` is that of the axes."""
    left, right, *_ = extent
    length = bar_length_mm(right - left)
    end = right - 0.04 * (right - left)
    look: Any = {"color": _INK, "path_effects": _outlined()}
    axes.plot([end - length, end], [0, 0], transform=_raised(axes), linewidth=1.8, solid_capstyle="butt", **look)
    at, above = (end - length / 2, 0.0), (0, _BAR_POINTS + 2.5)
    look |= {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points", "ha": "center", "va": "bottom"}
    axes.annotate(f"{length} mm", at, above, fontsize=7, **look)


def _raised(axes: Axes) -> Any:
    """Return mm across, and as many points above the lower edge as the bar stands."""
    from matplotlib.transforms import ScaledTranslation

    figure: Any = axes.figure
    return axes.get_xaxis_transform() + ScaledTranslation(0, _BAR_POINTS / 72, figure.dpi_scale_trans)


def draw_colour_bar(axes: Axes, limits: tuple[float, float], kind: ColormapKind, opacity: float | None = None) -> None:
    """Draw a horizontal colour bar with its ends in numbers, in the very colours that a map has.

    With an ``opacity``, as the map lies on a CT: the upper half over white, the lower half over black (see
    :func:`bar_words`). Without one on black alone, as maps are drawn that have no CT.
    """
    low, high = limits
    ramp, extent = np.linspace(low, high, 256)[None, :], (low, high, 0.0, 1.0)
    axes.set_facecolor(BACKGROUND)
    if opacity is not None:
        ends = np.array([[1.0], [0.0]])
        axes.imshow(ends, "gray", aspect="auto", extent=extent, vmin=0, vmax=1, interpolation="nearest")
    colors = colormap(kind, 1.0 if opacity is None else opacity)
    axes.imshow(ramp, cmap=colors, aspect="auto", extent=extent, vmin=low, vmax=high)
    ticks = [low, 0.0, high] if low < 0 else [low, high / 2, high]
    axes.set(yticks=[], xticks=ticks)
    labels = axes.set_xticklabels([f"{value:.3g}".replace("-", "−") for value in ticks], fontsize=7)
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")
    axes.tick_params(length=2, pad=1)


def window_words(window_hu: tuple[float, float]) -> str:
    """Return a gray-scale window: HU drawn black and white, with true minus signs."""
    low, high = (f"{hu:g}".replace("-", "−") for hu in window_hu)
    return f"{low} to {high} HU"


def bar_words(opacity: float) -> str:
    """Return how to read a colour bar that was drawn with ``opacity``."""
    return (
        f"Maps are drawn at {percent(opacity)} over the CT, so their colors depend on it; the color bar shows them "
        "over white tissue (upper half) and over black air (lower half)."
    )


def _outlined() -> list[AbstractPathEffect]:
    """Return an outline that keeps letters and bars readable on white and on black."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.8, foreground=BACKGROUND)]
