"""One CT slice with its maps as the paper prints them: CT, HiResCAM, Grad-CAM, and all that is needed to read them.

Sides, a bar in mm, a colour bar with its words, the abnormality with its probability, the model and what its cells
could see stand in the picture itself. matplotlib is loaded when the first picture is drawn; the same case gives the
same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from training.evaluate.figure_marks import (
    BACKGROUND,
    Extent,
    bar_words,
    colormap,
    draw_colour_bar,
    draw_mm_bar,
    framed,
    mark_sides,
    plane_extent,
    window_words,
)
from training.evaluate.figure_text import balanced, draw_lines, height_inches, width_inches, wrapped
from training.explain.display import Display, PerLabel, Policy
from training.explain.placement import Placement
from training.explain.result import METHOD_NAMES, METHODS, Explanation, Method
from training.labels import display_name
from training.picture import WINDOWS, Picture, drawn_grid, to_display, to_lps
from training.words import NOT_FOR_CLINICAL_USE, caution_words, percent, times_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

FigureFormat = Literal["png", "pdf", "svg"]
FORMATS: tuple[FigureFormat, ...] = ("png", "pdf", "svg")

PANEL_INCHES = 3.2
_MARGIN, _GAP = 0.12, 0.06
_PANEL_TITLE, _BAR = 0.22, 0.44
"""Inches above a panel for its title; below it for its colour bar, without the words."""

_NAME, _SAID, _SMALL = 13.0, 9.0, 6.5
"""Font sizes, points: abnormality; probability and slice; the rest."""
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
        The CT as drawn; None leaves its panel out and draws the maps on black, in the CT's field of view.
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
        self._where.set_text(self._where_words(number))

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

    # ---- layout, in inches from the lower left; what is written decides how high head and foot are

    def _lay_out(self) -> Figure:
        import matplotlib as mpl
        from matplotlib.figure import Figure

        names: list[Method | None] = [*([None] if self.picture is not None else []), *self.style.methods]
        seen = drawn_grid(self.explanation.image_geometry) if self.picture is None else self.picture.geometry
        extent = framed(plane_extent(seen))
        width = len(names) * (PANEL_INCHES + _MARGIN) + _MARGIN
        height = PANEL_INCHES * abs((extent[2] - extent[3]) / (extent[1] - extent[0]))
        head, foot = self._head_lines(width - 2 * _MARGIN), self._foot_lines(width - 2 * _MARGIN)
        below = _GAP + height_inches(len(foot), _SMALL) + _MARGIN + self._bar_inches()
        size = (width, below + height + _PANEL_TITLE + head.inches + _MARGIN)
        with mpl.rc_context():
            mpl.rcdefaults()  # whatever the user's own settings are
            mpl.rcParams.update(_SETTINGS)
            figure = Figure(figsize=size, dpi=self.style.dpi, facecolor="white")
            self._where = head.draw(figure)
            for i, method in enumerate(names):
                box = (_MARGIN + i * (PANEL_INCHES + _MARGIN), below, PANEL_INCHES, height)
                self._panel(_axes(figure, box, size), method, extent)
                if method is not None:
                    self._colour_bar(figure, method, box, size)
            draw_lines(figure, foot, _MARGIN, _GAP + height_inches(len(foot), _SMALL), _SMALL, color="#404040")
        return figure

    def _panel(self, axes: Axes, method: Method | None, extent: Extent) -> None:
        axes.set_facecolor(BACKGROUND)
        axes.set(xticks=[], yticks=[])
        if self.picture is not None:
            low, high = self.style.window_hu
            gray = "gray_r" if self.picture.inverted else "gray"
            blank = np.zeros(self.picture.geometry.shape[1:], np.int16)
            own = plane_extent(self.picture.geometry)
            self._cts.append(axes.imshow(blank, gray, vmin=low, vmax=high, extent=own, interpolation="bilinear"))
        title = f"CT ({window_words(self.style.window_hu)})"
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
            cmap=colormap(show.colormap, 1.0 if self.picture is None else self.style.opacity),
            vmin=show.limits[0],
            vmax=show.limits[1],
            extent=plane_extent(self.grid),
            interpolation="bilinear" if self.style.smooth else "nearest",
        )

    def _colour_bar(self, figure: Figure, method: Method, box: Sequence[float], size: tuple[float, float]) -> None:
        left, below, *_ = box
        show = self.shows[method]
        bar = _axes(figure, (left, below - 0.26, PANEL_INCHES, 0.16), size)
        draw_colour_bar(bar, show.limits, show.colormap, None if self.picture is None else self.style.opacity)
        draw_lines(figure, self._bar_lines(method), left + PANEL_INCHES / 2, below - _BAR, _SMALL, side="center")

    def _bar_lines(self, method: Method) -> list[str]:
        return balanced(self.shows[method].words, PANEL_INCHES, _SMALL)

    def _bar_inches(self) -> float:
        return _BAR + height_inches(max(len(self._bar_lines(method)) for method in self.style.methods), _SMALL)

    def _head_lines(self, room: float) -> _Head:
        index = self.explanation.index(self.label)
        said = f"predicted probability {percent(float(self.explanation.probabilities[index]))}"
        ratio = self.explanation.ratio_to_mean(self.label)
        said += "" if ratio is None else f", {times_mean(ratio)} the model's mean"
        name = display_name(self.label)
        return _Head(name[:1].upper() + name[1:], said, self._where_words(self.n_slices - 1), room)

    def _where_words(self, number: int) -> str:
        what = "slice group" if self.picture is None else "slice"
        return f"{what} {number + 1} of {self.n_slices}"

    def _foot_lines(self, room: float) -> list[str]:
        model = self.explanation.model
        said = (
            f"Model {model.name} ({model.architecture}, SHA-256 {model.sha256[:12]}), case {self.explanation.case_id};"
            f" {_PLACED[self.style.placement]}. This model: {caution_words(model.training)}.",
            f"{self.explanation.where_words} {model.guarantee_words}",
            *([] if self.picture is None else [bar_words(self.style.opacity)]),
        )
        return [line for text in said for line in wrapped(text, room, _SMALL)]


class _Head:
    """The lines above the panels: on the right what it is not for and the slice, where there is room beside the rest.

    Parameters
    ----------
    name, said
        Abnormality; probability.
    where
        The slice at its longest.
    room
        Inches across.
    """

    def __init__(self, name: str, said: str, where: str, room: float) -> None:
        self.room, gap = room, 2 * _MARGIN
        beside = room - gap - width_inches(NOT_FOR_CLINICAL_USE.upper(), _SAID, "bold")
        self.use_above = width_inches(name, _NAME, "bold") > beside
        self.name = wrapped(name, room, _NAME, "bold") if self.use_above else [name]
        self.where_below = width_inches(said, _SAID) + gap + width_inches(where, _SAID) > room
        self.said = wrapped(said, room, _SAID)

    @property
    def inches(self) -> float:
        """How high it is."""
        said = len(self.said) + self.where_below + self.use_above
        return height_inches(len(self.name), _NAME) + height_inches(said, _SAID) + _GAP

    def draw(self, figure: Figure) -> Text:
        """Draw it, and return the text that says which slice is shown, empty yet."""
        left, right = _MARGIN, _MARGIN + self.room
        top = float(figure.get_size_inches()[1]) - _MARGIN
        draw_lines(figure, [NOT_FOR_CLINICAL_USE.upper()], right, top, _SAID, "bold", "right")
        top -= height_inches(1, _SAID) if self.use_above else 0.0
        draw_lines(figure, self.name, left, top, _NAME, "bold")
        top -= height_inches(len(self.name), _NAME) + _GAP / 2
        draw_lines(figure, self.said, left, top, _SAID)
        if self.where_below:
            return draw_lines(figure, [], left, top - height_inches(len(self.said), _SAID), _SAID)
        return draw_lines(figure, [], right, top, _SAID, side="right")


def _axes(figure: Figure, box: Sequence[float], size: tuple[float, float]) -> Axes:
    x, y, width, height = box
    return figure.add_axes((x / size[0], y / size[1], width / size[0], height / size[1]))
