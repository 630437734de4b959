"""Text in figures that keeps to its room: lines are broken, and long names cut, by how wide they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

LINE_SPACING = 1.25
"""Height of a line over its font size."""

HINTING = 1.04
"""Pictures of few dots per inch set letters on whole pixels, which makes lines wider by up to this factor."""

_POINTS = 72.0
_FAMILY = "DejaVu Sans"


@lru_cache(maxsize=4096)
def width_inches(text: str, points: float, weight: str = "normal") -> float:
    """Return how wide a line of ``text`` is drawn at a font size of ``points`` at most, inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(family=_FAMILY, size=points, weight=weight)
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / _POINTS * HINTING


def height_inches(lines: int, points: float) -> float:
    """Return the height of so many lines, inches."""
    return lines * points * LINE_SPACING / _POINTS


def wrapped(text: str, room_inches: float, points: float, weight: str = "normal") -> list[str]:
    """Return ``text`` in lines of at most ``room_inches``; a word that is longer is broken."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_inches(longer, points, weight) <= room_inches:
            lines[-1] = longer
        else:
            lines += _broken(word, room_inches, points, weight)
    return lines


def balanced(text: str, room_inches: float, points: float) -> list[str]:
    """Return ``text`` in as few lines as :func:`wrapped` needs, about equally long, for text that is centred."""
    fewest = len(wrapped(text, room_inches, points))
    rooms = (room_inches * share / 20 for share in range(8, 20))
    lines = (wrapped(text, room, points) for room in rooms)
    return next((one for one in lines if len(one) == fewest), wrapped(text, room_inches, points))


def _broken(word: str, room_inches: float, points: float, weight: str) -> list[str]:
    parts = [word[:1]]
    for letter in word[1:]:
        if width_inches(parts[-1] + letter, points, weight) <= room_inches:
            parts[-1] += letter
        else:
            parts.append(letter)
    return parts


def cut(text: str, room_inches: float, points: float, weight: str = "normal") -> str:
    """Return ``text``, its middle left out where it would be wider than ``room_inches``."""
    if width_inches(text, points, weight) <= room_inches:
        return text
    for kept in range(len(text) - 1, 1, -1):
        shorter = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if width_inches(shorter, points, weight) <= room_inches:
            return shorter
    return "…"


def draw_lines(
    figure: Figure,
    lines: Sequence[str],
    x_inches: float,
    top_inches: float,
    points: float,
    weight: str = "normal",
    side: str = "left",
    color: str = "black",
) -> Text:
    """Draw lines whose first one's top is ``top_inches`` above the figure's lower edge."""
    width, height = figure.get_size_inches()
    look: dict[str, Any] = {"fontsize": points, "fontweight": weight, "color": color, "family": _FAMILY}
    look |= {"ha": side, "va": "top", "linespacing": LINE_SPACING}
    return figure.text(x_inches / width, top_inches / height, "\n".join(lines), **look)
