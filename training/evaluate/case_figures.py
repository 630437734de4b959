"""One CT slice with its maps as the paper prints them: CT, HiResCAM, Grad-CAM, and all that is needed to read them.

Sides, a bar in mm, a colour bar with its words, the abnormality with its probability, the model and what its cells
could see stand in the picture itself. matplotlib is loaded when the first picture is drawn; the same case gives the
same bytes.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from training.explain.display import (
    AGAINST_COLORS,
    DIVERGING_CONTROLS,
    FOR_COLORS,
    FOR_CONTROLS,
    ColormapKind,
    Display,
    PerLabel,
    Policy,
)
from training.explain.placement import Placement
from training.explain.result import METHOD_NAMES, METHODS, Explanation, Method
from training.geometry import Geometry
from training.labels import display_name
from training.picture import WINDOWS, Picture, to_display, to_lps
from training.words import NOT_FOR_CLINICAL_USE, caution_words, percent, times_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.patheffects import AbstractPathEffect

FigureFormat = Literal["png", "pdf", "svg"]
FORMATS: tuple[FigureFormat, ...] = ("png", "pdf", "svg")

PANEL_INCHES = 3.2
_MARGIN, _HEAD, _BAR, _FOOT = 0.12, 0.82, 0.78, 0.5
_BACKGROUND, _LETTER, _INK = "black", "#ff8c1a", "white"
_PLACED = {
    "receptive_field": "cells stand where they look",
    "stretch": "cells stretched over the slice, as in the paper",
}
_SETTINGS: Any = {"text.parse_math": False, "svg.hashsalt": "hirescam", "font.size": 8}
NO_METADATA: dict[FigureFormat, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
}
"""Nothing that differs from day to day or names this computer goes into a figure."""


@dataclass(frozen=True)
class FigureStyle:
    """How a case is drawn; the viewer's choices, so that a figure shows what the window shows.

    Parameters
    ----------
    methods
        The maps, one panel each after the CT.
    window_hu
        Gray-scale limits, HU.
    placement
        Where the cells are drawn.
    policy
        How maps are scaled.
    opacity
        Of the maps, 0 to 1.
    smooth
        Interpolate between cells instead of drawing them as they are.
    dpi
        Dots per inch of pictures made of pixels.
    """

    methods: tuple[Method, ...] = METHODS
    window_hu: tuple[float, float] = WINDOWS["lung"].limits_hu
    placement: Placement = "receptive_field"
    policy: Policy = field(default_factory=PerLabel)
    opacity: float = 0.6
    smooth: bool = False
    dpi: int = 200


class CaseFigure:
    """The figure of one label in one slice; :meth:`show_slice` moves it, for animations.

    Parameters
    ----------
    explanation
        Of the CT.
    picture
        The CT as drawn; None leaves its panel out and draws the maps on black.
    label
        Name.
    style
        How.

    Raises
    ------
    KeyError
        If the model has no such label.
    InputError
        If the model has no maps.
    """

    def __init__(
        self, explanation: Explanation, picture: Picture | None, label: str, style: FigureStyle | None = None
    ) -> None:
        self.explanation, self.picture = explanation, picture
        self.label = explanation.labels[explanation.index(label)]
        self.style = FigureStyle() if style is None else style
        self.grid = explanation.geometry(self.style.methods[0], self.style.placement)
        self.shows: dict[Method, Display] = {
            method: self.style.policy.show(explanation, self.label, method) for method in self.style.methods
        }
        self._cts: list[AxesImage] = []
        self._maps: dict[Method, AxesImage] = {}
        self.figure = self._lay_out()
        self.slice = -1
        self.show_slice(self.top_slice)

    @property
    def n_slices(self) -> int:
        """Slices that can be shown: those of the CT, or the slice groups where there is none."""
        return self.grid.shape[0] if self.picture is None else self.picture.geometry.shape[0]

    @property
    def top_slice(self) -> int:
        """The slice nearest to the slice group with the highest score."""
        group = self.explanation.top_slice(self.label)
        if self.picture is None:
            return group
        position = self.picture.geometry.to_index(self.grid.to_world((group, 0, 0)))[0]
        return int(np.clip(np.floor(position + 0.5), 0, self.n_slices - 1))

    def group_at(self, number: int) -> int | None:
        """Return the slice group drawn in slice ``number``; None where no cell is drawn."""
        if self.picture is None:
            return number
        slice_mm = to_display(self.picture.geometry.to_world((number, 0, 0)))[0]
        group = int(np.floor(self.grid.to_index(to_lps((slice_mm, 0.0, 0.0)))[0] + 0.5))
        return group if 0 <= group < self.grid.shape[0] else None

    def show_slice(self, number: int) -> None:
        """Draw slice ``number`` of the CT (of the map where there is no CT), counted from 0 at the head.

        Raises
        ------
        IndexError
            If there is no such slice.
        """
        if not 0 <= number < self.n_slices:
            raise IndexError(f"there is no slice {number} among {self.n_slices}")
        self.slice = number
        group = self.group_at(number)
        for image in self._cts if self.picture is not None else ():
            image.set_data(self.picture.hu[number])  # type: ignore[union-attr]
        for method, image in self._maps.items():
            values = self.shows[method].values
            image.set_data(np.zeros(values.shape[1:], values.dtype) if group is None else values[group])
        what = "slice group" if self.picture is None else "slice"
        self._where.set_text(f"{what} {number + 1} of {self.n_slices}")

    @property
    def map_axes(self) -> list[Axes]:
        """Where the maps are drawn, in mm of the display frame, for what else is to be drawn over them."""
        return [image.axes for image in self._maps.values()]

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Return what is shown, uint8 [height, width, 3]."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas: Any = FigureCanvasAgg(self.figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()

    def save(self, kind: FigureFormat) -> bytes:
        """Return the figure as a file of ``kind``."""
        import matplotlib as mpl

        stream = io.BytesIO()
        with mpl.rc_context({**_SETTINGS}):
            self.figure.savefig(stream, format=kind, dpi=self.style.dpi, metadata=NO_METADATA[kind])
        return stream.getvalue()

    # ---- layout, in inches from the lower left

    def _lay_out(self) -> Figure:
        import matplotlib as mpl
        from matplotlib.figure import Figure

        n = len(self.style.methods) + (self.picture is not None)
        extent = self._extent()
        height = PANEL_INCHES * abs((extent[2] - extent[3]) / (extent[1] - extent[0]))
        size = (n * (PANEL_INCHES + _MARGIN) + _MARGIN, _HEAD + height + _BAR + _FOOT)
        with mpl.rc_context():
            mpl.rcdefaults()  # whatever the user's own settings are
            mpl.rcParams.update(_SETTINGS)
            figure = Figure(figsize=size, dpi=self.style.dpi, facecolor="white")
            self._head(figure)
            names: list[Method | None] = [*([None] if self.picture is not None else []), *self.style.methods]
            for i, method in enumerate(names):
                box = (_MARGIN + i * (PANEL_INCHES + _MARGIN), _FOOT + _BAR, PANEL_INCHES, height)
                self._panel(_axes(figure, box, size), method, extent)
                if method is not None:
                    self._colour_bar(figure, method, box, size)
            self._foot(figure)
        return figure

    def _extent(self) -> tuple[float, float, float, float]:
        return plane_extent(self.grid if self.picture is None else self.picture.geometry)

    def _panel(self, axes: Axes, method: Method | None, extent: tuple[float, float, float, float]) -> None:
        axes.set_facecolor(_BACKGROUND)
        axes.set(xticks=[], yticks=[])
        if self.picture is not None:
            low, high = self.style.window_hu
            gray = "gray_r" if self.picture.inverted else "gray"
            blank = np.zeros(self.picture.geometry.shape[1:], np.int16)
            self._cts.append(axes.imshow(blank, gray, vmin=low, vmax=high, extent=extent, interpolation="bilinear"))
        title = f"CT ({self.style.window_hu[0]:g} to {self.style.window_hu[1]:g} HU)"
        if method is not None:
            self._maps[method] = self._draw_map(axes, method)
            title = METHOD_NAMES[method]
        axes.set(xlim=extent[:2], ylim=extent[2:])
        axes.set_title(title, fontsize=9, pad=3)
        mark_sides(axes)
        draw_mm_bar(axes, extent)

    def _draw_map(self, axes: Axes, method: Method) -> AxesImage:
        show = self.shows[method]
        return axes.imshow(
            np.zeros(show.values.shape[1:], np.float32),
            cmap=colormap(show.colormap),
            vmin=show.limits[0],
            vmax=show.limits[1],
            extent=plane_extent(self.grid),
            alpha=1.0 if self.picture is None else self.style.opacity,
            interpolation="bilinear" if self.style.smooth else "nearest",
        )

    def _colour_bar(self, figure: Figure, method: Method, box: Sequence[float], size: tuple[float, float]) -> None:
        axes = _axes(figure, (box[0], _FOOT + _BAR - 0.24, PANEL_INCHES, 0.12), size)
        show = self.shows[method]
        draw_colour_bar(axes, show.limits, show.colormap)
        words = "\n".join(textwrap.wrap(show.words, 58))
        axes.text(0.5, -2.1, words, transform=axes.transAxes, ha="center", va="top", fontsize=6.5)

    def _head(self, figure: Figure) -> None:
        width, height = figure.get_size_inches()
        left, top = _MARGIN / width, 1 - 0.1 / height
        index = self.explanation.index(self.label)
        said = f"predicted probability {percent(float(self.explanation.probabilities[index]))}"
        ratio = self.explanation.ratio_to_mean(self.label)
        said += "" if ratio is None else f", {times_mean(ratio)} the model's mean"
        name = display_name(self.label)
        figure.text(left, top, name[:1].upper() + name[1:], fontsize=13, fontweight="bold", va="top")
        figure.text(left, top - 0.28 / height, said, fontsize=9, va="top")
        self._where = figure.text(1 - left, top - 0.28 / height, "", fontsize=9, va="top", ha="right")
        figure.text(1 - left, top, NOT_FOR_CLINICAL_USE.upper(), fontsize=9, fontweight="bold", va="top", ha="right")

    def _foot(self, figure: Figure) -> None:
        width, height = figure.get_size_inches()
        model = self.explanation.model
        wrap = int(width * 21)
        lines = [
            f"Model {model.name} ({model.architecture}, SHA-256 {model.sha256[:12]}), case {self.explanation.case_id};"
            f" {_PLACED[self.style.placement]}. This model: {caution_words(model.training)}.",
            f"{self.explanation.where_words} {model.guarantee_words}",
        ]
        text = "\n".join(part for line in lines for part in textwrap.wrap(line, wrap))
        figure.text(_MARGIN / width, 0.06 / height, text, fontsize=6.5, va="bottom", color="#404040")


def plane_extent(geometry: Geometry) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top edge of a canonical grid's slices, mm of the display frame (rows run down)."""
    low = to_display(geometry.to_world((0, -0.5, -0.5)))
    high = to_display(geometry.to_world([0, geometry.shape[1] - 0.5, geometry.shape[2] - 0.5]))
    return (float(low[2]), float(high[2]), float(high[1]), float(low[1]))


def colormap(kind: ColormapKind) -> LinearSegmentedColormap:
    """Return the viewer's colormap of a map, transparent where there is no evidence."""
    from matplotlib.colors import LinearSegmentedColormap

    if kind == "diverging":
        points = list(zip(DIVERGING_CONTROLS, (*AGAINST_COLORS, *FOR_COLORS), strict=True))
        return LinearSegmentedColormap.from_list("evidence for and against", points)
    return LinearSegmentedColormap.from_list("evidence", list(zip(FOR_CONTROLS, FOR_COLORS, strict=True)))


def mark_sides(axes: Axes) -> None:
    """Write the patient's sides at the edges of a canonical slice: R and L, A and P."""
    (front, back), (right, left) = Geometry.canonical((2, 2, 2), (1.0, 1.0, 1.0)).axis_letters()[1:]
    for x, y, letter in ((0.03, 0.5, right), (0.97, 0.5, left), (0.5, 0.965, front), (0.5, 0.035, back)):
        look: Any = {"color": _LETTER, "fontsize": 10, "fontweight": "bold", "path_effects": _outlined()}
        axes.text(x, y, letter, transform=axes.transAxes, ha="center", va="center", **look)


def bar_length_mm(width_mm: float) -> int:
    """Return a round length of at most a third of ``width_mm``: 1, 2 or 5 times a power of ten, at least 1 mm."""
    lengths = [m * 10**e for e in range(4) for m in (1, 2, 5)]
    return max([length for length in lengths if length <= width_mm / 3], default=1)


def draw_mm_bar(axes: Axes, extent: tuple[float, float, float, float]) -> None:
    """Draw a bar with its length in mm at the lower right."""
    left, right, bottom, top = extent
    length = bar_length_mm(right - left)
    end, y = right - 0.04 * (right - left), bottom - 0.05 * (bottom - top)
    look: Any = {"color": _INK, "path_effects": _outlined()}
    axes.plot([end - length, end], [y, y], linewidth=1.8, solid_capstyle="butt", **look)
    middle, above = end - length / 2, y - 0.015 * (bottom - top)
    axes.text(middle, above, f"{length} mm", fontsize=7, ha="center", va="bottom", **look)


def draw_colour_bar(axes: Axes, limits: tuple[float, float], kind: ColormapKind) -> None:
    """Draw a horizontal colour bar on black, as the map lies on the CT, with its ends in numbers."""
    low, high = limits
    ramp = np.linspace(low, high, 256)[None, :]
    axes.set_facecolor(_BACKGROUND)
    axes.imshow(ramp, cmap=colormap(kind), aspect="auto", extent=(low, high, 0, 1), vmin=low, vmax=high)
    ticks = [low, 0.0, high] if low < 0 else [low, high / 2, high]
    axes.set(yticks=[], xticks=ticks)
    labels = axes.set_xticklabels([f"{value:.3g}".replace("-", "−") for value in ticks], fontsize=7)
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")
    axes.tick_params(length=2, pad=1)


def _outlined() -> list[AbstractPathEffect]:
    """Return an outline that keeps letters and bars readable on white and on black."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.8, foreground=_BACKGROUND)]


def _axes(figure: Figure, box: Sequence[float], size: tuple[float, float]) -> Axes:
    x, y, width, height = box
    return figure.add_axes((x / size[0], y / size[1], width / size[0], height / size[1]))
