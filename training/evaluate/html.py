"""HTML documents of results that need nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

from training.evaluate.reader_words import head_words
from training.evaluate.rows import INTENDED_USE, Row, plain

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 72em; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2.2em; } h3 { font-size: 1.05em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9em; }
th, td { padding: 0.15em 0.8em 0.15em 0; text-align: right; border-bottom: 1px solid #ddd; }
th { border-bottom: 2px solid #999; position: sticky; top: 0; background: #fff; }
th.text, td.text { text-align: left; } td.none { color: #767676; }
figure { display: inline-block; margin: 0.5em 1em 0.5em 0; } figcaption { font-size: 0.9em; color: #555; }
img { max-width: 100%; height: auto; } .use { border-left: 4px solid #d55e00; padding-left: 0.8em; }
details { margin: 0.6em 0; } summary { cursor: pointer; } .wide { overflow-x: auto; }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, sections: Iterable[str]) -> str:
    """Return one HTML document of sections, which are HTML already; empty ones are left out."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in sections if part)
        + "\n</body>\n</html>\n"
    )


def head(title: str, notes: Iterable[str]) -> str:
    """Return the beginning of a page: title, what it is not for, and notes as a list."""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    listed = f"<ul>{items}</ul>" if items else ""
    return f'<h1>{escape(title)}</h1>\n<p class="use"><strong>{INTENDED_USE}</strong></p>\n{listed}'


def table(rows: Iterable[Row], names: Sequence[str]) -> str:
    """Return rows as an HTML table; an interval is put in brackets behind the number it belongs to."""
    found = [plain(row) for row in rows]
    text = {name for name in names if any(isinstance(row.get(name), str) for row in found)}
    heads = "".join(f'<th scope="col"{_class(name in text)}>{escape(head_words(name))}</th>' for name in names)
    lines = "".join(f"<tr>{''.join(_cell(row, name) for name in names)}</tr>\n" for row in found)
    return f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table></div>'


def _class(is_text: bool) -> str:
    return ' class="text"' if is_text else ""


def _cell(row: Row, name: str) -> str:
    value = row.get(name)
    if value is None:
        return '<td class="none">n/a</td>'
    if isinstance(value, str):
        return f'<td class="text">{escape(value)}</td>'
    low, high = next(((row[a], row[b]) for a, b in _ends(name) if a in row and b in row), (None, None))
    interval = "" if low is None or high is None else f" ({number(low)} to {number(high)})"
    return f"<td>{number(value)}{interval}</td>"


def _ends(name: str) -> list[tuple[str, str]]:
    own = [(f"{name}_low", f"{name}_high")]
    return [*own, ("low", "high")] if name in ("value", "difference") else own


def number(value: float) -> str:
    """Return a count as it is, and any other number with three digits after the point (one from 10 on)."""
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def folded(title: str, content: str) -> str:
    """Return content that opens on a click."""
    return f"<details><summary>{escape(title)}</summary>\n{content}\n</details>"


def image(svg: str, caption: str) -> str:
    """Return a picture that is part of the page: as text, which takes a quarter less than base64."""
    return _figure(f"data:image/svg+xml,{quote(' '.join(svg.split()), safe=_IN_URL)}", caption)


def picture(data: bytes, kind: str, caption: str) -> str:
    """Return an image file (``kind`` is the second half of its media type) as a part of the page."""
    return _figure(f"data:image/{kind};base64,{base64.b64encode(data).decode()}", caption)


_IN_URL = ' !$()*+,-./:;<=>?@[]^_`{|}~"'
"""What a data URL holds as it is; apostrophes, which end the attribute, percent signs and the like are escaped."""


def _figure(source: str, caption: str) -> str:
    words = escape(caption)
    return f"<figure><img src='{source}' alt=\"{words}\"><figcaption>{words}</figcaption></figure>"
