"""SVG made small without another look: what no viewer draws is left out, and coordinates end at 1/100 point."""

from __future__ import annotations

import re

_DIGITS = 2
_LONG = re.compile(r"-?\d+\.\d{3,}")
_COORDINATES = re.compile(r'(?: (?:d|x|y|width|height)="[^"]*"|translate\([^)]*\))')
_MOVED = re.compile(r'(<use xlink:href="#[^"]+") transform="translate\((-?[\d.]+) (-?[\d.]+)\)"/>')
_GLYPH = re.compile(r'\b(id="|href="#)DejaVuSans-(?=[0-9a-f]+")')


def compact(svg: str) -> str:
    """Return SVG text as matplotlib writes it in about half as many characters.

    Groups lose the names that nothing refers to, blanks their glyph, coordinates all digits behind the second. Comments
    stay: they hold the words that are drawn as outlines, for who searches the file.
    """
    text = re.sub(r'<g id="[^"]*"', "<g", svg)
    text = _COORDINATES.sub(lambda found: _LONG.sub(_rounded, found[0]), text)
    text = _MOVED.sub(_placed, _without_blanks(text))
    text = _GLYPH.sub(r"\1g", text)
    text = re.sub(r"\s*\n\s*", " ", text)
    text = re.sub(r' d="[^"]*"', lambda found: _joined(found[0]), text)
    return re.sub(r"(?<=>) (?=<)| (?=\"/?>)", "", text).strip() + "\n"


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.{_DIGITS}f}".rstrip("0").rstrip(".")


def _placed(use: re.Match[str]) -> str:
    """Return a glyph with its place as attributes: a hundredth of the font's size is enough."""
    x, y = (f"{float(value):.1f}".rstrip("0").rstrip(".") for value in use.groups()[1:])
    return f'{use[1]} x="{x}"/>' if y in ("0", "-0") else f'{use[1]} x="{x}" y="{y}"/>'


def _joined(path: str) -> str:
    """Return a path that does not repeat the letter of lines that follow a line."""
    pieces = re.split(r" (?=[A-Za-z])", path)
    joined = [
        piece[2:] if piece.startswith("L ") and before.startswith("L ") else piece
        for before, piece in zip(["", *pieces], pieces, strict=False)
    ]
    return " ".join(joined).replace(' "', '"')


def _without_blanks(text: str) -> str:
    """Leave out glyphs without an outline, such as the blank, and all that refers to them."""
    for name in re.findall(r'<path id="([^"]+)"(?: transform="[^"]*")?/>', text):
        own = re.escape(name)
        text = re.sub(rf'<path id="{own}"[^>]*/>|<use xlink:href="#{own}"[^>]*/>', "", text)
    return text
