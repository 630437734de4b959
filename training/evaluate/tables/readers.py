"""Rows for readers: labels, measures and places as they are called beside how they are keyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from training.evaluate.pairs import LABEL_GROUP
from training.evaluate.reader_words import PLACEMENTS, VARIANTS, measure_words
from training.evaluate.rows import Row
from training.labels import display_name


def with_display_name(row: Row) -> Row:
    """Return a row that names a label, by itself or as a group, with what a reader calls it beside."""
    key = next((key for key in ("label", "group") if key in row), None)
    if key is None:
        return row
    name = str(row[key])
    shown = display_name(name) if key == "label" else _shown_group(name)
    items: dict[str, Any] = {}
    for column, value in row.items():
        items[column] = value
        if column == key:
            items["display_name"] = shown
    return items


def readable(row: Row) -> Row:
    """Return a row for the eyes of a reader: labels, measures and places as they are called, not as they are keyed."""
    shown: dict[str, Callable[[str], str]] = {
        "label": display_name,
        "group": _shown_group,
        "measure": measure_words,
        "placement": lambda name: PLACEMENTS.get(name, name),
        "variant": lambda name: VARIANTS.get(name, name),
    }
    return {key: shown[key](value) if key in shown and isinstance(value, str) else value for key, value in row.items()}


def _shown_group(name: str) -> str:
    """Return what a reader calls a group; a label may stand there with or without what marks it as a group."""
    return display_name(name.removeprefix(LABEL_GROUP))
