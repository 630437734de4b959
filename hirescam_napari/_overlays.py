"""Text, letters, scale bar and color bars on the canvas, all drawn by napari's own overlays."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import ceil

from napari.components import ViewerModel
from napari.components.overlays import TextOverlay
from napari.layers import Image

from training.geometry import Geometry

TITLE, SLICE, SCALE = "hirescam_title", "hirescam_slice", "hirescam_scale"
NOTICE, LEGEND = "hirescam_notice", "hirescam_legend"
NOT_FOR_CLINICAL_USE = "Not for clinical use"
_SIDES = {"left": "middle_left", "right": "middle_right", "top": "top_center", "bottom": "bottom_center"}
_LETTER_COLOR = "#ff8c1a"
_TEXT_COLOR = "#f0f0f0"
_NOTICE_COLOR = "#ffc04d"
_WRAP = 24
"""Characters per line: what fits between the edge and the middle of a canvas in a window of 1366 px."""

_FOOT_SIZE, _LETTER_SIZE, _SMALL_LETTER_SIZE = 10, 14, 10
_PX_PER_CHARACTER, _LEAST_CHARACTERS = 9.5, 24
"""Width of a character of the foot, about; it is never broken into lines shorter than this."""

_BAR_ROOM_PX = 170
"""Kept free for the scale bar beside the foot of a grid."""


class Overlays:
    """The session's overlays in one viewer; they are made when there is something to say and kept."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._legend: set[str] = set()
        self._grid = self._crowded = False
        self._slice = self._words = ""
        self._notices: Sequence[str] = ()
        viewer.canvas.overlay_tiling.bottom_left = "vertical"
        viewer.dims.events.order.connect(self.set_letters)
        viewer.dims.events.ndisplay.connect(self.set_letters)
        viewer.scene.camera.events.orientation.connect(self.set_letters)
        viewer.canvas.events.size.connect(self._on_size)

    def set_grid(self, on: bool, crowded: bool = False) -> None:
        """Lay the words out for a grid of cells, or for one canvas.

        Cells are narrow: in a grid what colors stand for runs along the foot of all of them, and the letter at the
        bottom of every cell stands above that. In a ``crowded`` grid letters are small.
        """
        if (self._grid, self._crowded) != (on, crowded):
            self._grid, self._crowded = on, crowded
            self._show_foot()

    def set_title(self, text: str) -> None:
        """Show abnormality and probability at the top left of every canvas, clear of the letter in the middle."""
        lines = "\n".join(_wrap(text))
        in_grid = f"\n{lines}" if lines else " "  # a line for the letter, also above names alone
        self._text(TITLE, "top_left", in_grid if self._grid else lines, 11, gridded=True)

    def set_slice(self, text: str) -> None:
        """Show at the bottom left which slice is drawn, and that it is for research."""
        if text != self._slice:
            self._slice = text
            self._show_foot()

    def set_scale_words(self, text: str) -> None:
        """Show what the colors stand for: at the bottom right, above the scale bar, or along the foot of a grid."""
        if text != self._words:
            self._words = text
            self._show_foot()

    def set_notices(self, notices: Sequence[str]) -> None:
        """Show at the bottom left what has to be known before a prediction or a mask is believed."""
        if notices != self._notices:
            self._notices = notices
            self._text(NOTICE, "bottom_left", "\n".join(notices), color=_NOTICE_COLOR)
            self._show_foot()

    def _show_foot(self) -> None:
        """Show the words at the bottom, and the letters above them."""
        slice_words = [NOT_FOR_CLINICAL_USE, self._slice] if self._slice else []
        if not self._grid:
            self._text(SLICE, "bottom_left", "\n".join(slice_words), _FOOT_SIZE)
            self._text(SCALE, "bottom_right", "\n".join(_wrap(self._words)), _FOOT_SIZE)
        else:
            self._text(SCALE, "bottom_right", "")
            self._text(SLICE, "bottom_left", "\n".join(self._foot_lines(slice_words)), _FOOT_SIZE)
        self.set_letters()

    def _foot_lines(self, slice_words: Sequence[str]) -> list[str]:
        room = int((self.viewer.canvas.size[1] - _BAR_ROOM_PX) / _PX_PER_CHARACTER)
        words = _wrap(self._words, max(room, _LEAST_CHARACTERS))
        return [*words, *([" · ".join(slice_words)] if slice_words else [])]

    def _foot_height(self) -> int:
        """Return over how many lines the letter at the bottom stands: the foot's height in lines of its own size."""
        if not self._grid:
            return 0
        lines = self.text(SLICE).split("\n") if self.text(SLICE) else []
        return ceil((len(lines) + len(self._notices)) * _FOOT_SIZE / self._letter_size)

    @property
    def _letter_size(self) -> int:
        return _SMALL_LETTER_SIZE if self._crowded else _LETTER_SIZE

    def _on_size(self) -> None:
        """Break the foot's lines anew for another width; of two canvases in a viewer, the one that shows something."""
        if self._grid and (self._slice or self._words):
            self._show_foot()

    def set_legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Show at the bottom left what the contours are: (words, color) a line."""
        gone = self._legend - {words for words, _ in entries}
        for words in gone:
            self._text(f"{LEGEND}_{words}", "bottom_left", "")
        for words, color in entries:
            self._text(f"{LEGEND}_{words}", "bottom_left", words, color=color)
        self._legend = {words for words, _ in entries}

    def set_letters(self) -> None:
        """Show the patient's sides at the edges of every canvas (2-D only) and the scale bar in mm."""
        letters = edge_letters(self.viewer)
        for side, position in _SIDES.items():
            letter = letters.get(side, "")
            below = "\n " * self._foot_height() if letter and side == "bottom" else ""
            name, in_box = f"hirescam_{side}", side in ("left", "right")  # these lie on the CT and its map
            self._text(name, position, letter + below, self._letter_size, _LETTER_COLOR, gridded=True, box=in_box)
        bar = self.viewer.canvas.overlays.scale_bar
        bar.box, bar.font_size = True, 10
        bar.visible = bool(letters)

    def label_map(self, layer: Image) -> None:
        """Show name and color bar of a map at the top right of its canvas."""
        layer.name_overlay.position = "top_left"
        layer.name_overlay.font_size = 11
        for overlay in (layer.name_overlay, layer.colorbar):
            overlay.box = True
            overlay.color = _TEXT_COLOR
            overlay.visible = True
        layer.colorbar.size = (14, 120)
        layer.colorbar.font_size = 9

    def clear(self) -> None:
        """Take everything off the canvas."""
        self._grid = self._crowded = False
        self._slice, self._words, self._notices = "", "", ()
        for name in (TITLE, SLICE, SCALE, NOTICE, *(f"hirescam_{side}" for side in _SIDES)):
            self._text(name, "top_left", "")
        self.set_legend(())
        self.viewer.canvas.overlays.scale_bar.visible = False

    def text(self, name: str) -> str:
        """Return what the overlay called ``name`` says now."""
        overlay = self.viewer.canvas.overlays.get(name)
        return overlay.text if isinstance(overlay, TextOverlay) and overlay.visible else ""

    def _text(
        self,
        name: str,
        position: str,
        text: str,
        font_size: float = 10,
        color: str = _TEXT_COLOR,
        gridded: bool = False,
        box: bool = True,
    ) -> None:
        overlays = self.viewer.canvas.overlays
        if name not in overlays:
            if not text:
                return
            look = {"position": position, "font_size": font_size, "color": color, "box": box, "gridded": gridded}
            overlays[name] = TextOverlay(text=text, visible=True, **look)
            return
        overlay = overlays[name]
        if text and overlay.text != text:
            overlay.text = text
        if text and overlay.font_size != font_size:
            overlay.font_size = font_size
        if overlay.visible != bool(text):
            overlay.visible = bool(text)


def _wrap(text: str, width: int = _WRAP) -> list[str]:
    return [line for part in text.split("\n") for line in textwrap.wrap(part, width)]


def edge_letters(viewer: ViewerModel) -> dict[str, str]:
    """Return the patient's letters at left, right, top and bottom of the canvas; empty in 3-D or without a CT.

    The viewer's axes are those of a canonical array, whose letters :meth:`Geometry.axis_letters` gives; which of them
    run down and across is up to the viewer (axis order and orientation).
    """
    if viewer.dims.ndisplay != 2 or viewer.dims.ndim != 3:
        return {}
    ends = Geometry.canonical((2, 2, 2), (1.0, 1.0, 1.0)).axis_letters()
    down, across = (ends[axis] for axis in viewer.dims.displayed)
    _, vertical, horizontal = (str(way) for way in viewer.scene.camera.orientation)
    top, bottom = down if vertical == "down" else down[::-1]
    left, right = across if horizontal == "right" else across[::-1]
    return {"left": left, "right": right, "top": top, "bottom": bottom}
