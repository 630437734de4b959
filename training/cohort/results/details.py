"""What else is known of every case, a line of JSON each, with a CRC-32; the lines of 128 cases share a file."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.cohort.results import layout as names
from training.io.atomic import atomic_path

_HEAD, _MIDDLE = b'{"crc32": "', b'", "details": '


def details_file(store: Path, row: int) -> Path:
    """Return the file with a line for a row of the store and for each of those around it."""
    return store / names.DETAILS_FOLDER / f"{row // names.LARGEST_BLOCK:06d}.jsonl"


def read_details(store: Path, row: int) -> dict[str, Any]:
    """Return the details of a row; raises ``OSError`` or ``ValueError`` if they are not there, or damaged."""
    lines = details_file(store, row).read_bytes().split(b"\n")
    number = row % names.LARGEST_BLOCK
    return parsed(lines[number] if number < len(lines) else b"")


def details_rows(store: Path, rows: range) -> list[int]:
    """Return those of the ``rows``, all of one file, whose details are there and whole."""
    try:
        lines = details_file(store, rows.start).read_bytes().split(b"\n")
    except OSError:  # none of the cases was explained, or the file was lost
        return []
    return [row for row, line in zip(rows, lines, strict=False) if _is_whole(line)]


def write_details(store: Path, new: Mapping[int, bytes]) -> None:
    """Put one line for each of ``new``, from :func:`line_of`, into the file that they share; b"" takes it out."""
    file, n = details_file(store, next(iter(new))), names.LARGEST_BLOCK
    lines = file.read_bytes().split(b"\n")[:n] if file.is_file() else []
    lines += [b""] * (n - len(lines))
    for row, text in new.items():
        lines[row % n] = text
    with atomic_path(file) as partial:
        partial.write_bytes(b"\n".join(lines) + b"\n")


def line_of(details: Mapping[str, Any]) -> bytes:
    """Return the line of a case."""
    text = json.dumps(details).encode()
    return _HEAD + _crc(text) + _MIDDLE + text + b"}"


def parsed(line: bytes) -> dict[str, Any]:
    """Inverse of :func:`line_of`; raises ``ValueError`` if ``line`` is not what that made."""
    start = len(_HEAD) + 8
    text = line[start + len(_MIDDLE) : -1]
    if line != _HEAD + _crc(text) + _MIDDLE + text + b"}":
        raise ValueError("no line of details, or a damaged one")
    found: dict[str, Any] = json.loads(text)
    return found


def _is_whole(line: bytes) -> bool:
    try:
        parsed(line)
    except ValueError:
        return False
    return True


def _crc(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)
