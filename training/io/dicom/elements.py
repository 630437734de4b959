"""Plain values from DICOM elements, without pydicom's conversion: ten times as fast, and malformed text is an error."""

from __future__ import annotations

import math
from functools import cache

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import PersonName

from training.io.dicom.records import Numbers


@cache
def tag_of(keyword: str) -> BaseTag:
    """Return the tag of a keyword of the DICOM dictionary (PS3.6)."""
    return Tag(keyword)


class Elements:
    """Typed access to the elements of ``dataset`` by keyword. Values may be raw bytes or converted already."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def text(self, keyword: str) -> str:
        """Return the value as text, several values separated by a backslash; empty if absent."""
        tag = tag_of(keyword)
        if tag not in self._dataset:
            return ""
        element: DataElement | RawDataElement = self._dataset.get_item(tag)
        value = element.value
        if isinstance(element, RawDataElement):
            return (value or b"").decode("latin-1").strip(" \0\n\r\t")
        if value is None:
            return ""
        if isinstance(value, (str, bytes, PersonName)) or not hasattr(value, "__iter__"):
            return str(value).strip(" \0")
        return "\\".join(str(v) for v in value)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return all values as text, stripped."""
        return tuple(part.strip() for part in self.text(keyword).split("\\")) if self.text(keyword) else ()

    def numbers(self, keyword: str, count: int) -> Numbers | None:
        """Return ``count`` finite numbers from a decimal string; None if absent.

        Raises
        ------
        ValueError
            If there is something else: text, not a number, infinity, another count.
        """
        text = self.text(keyword)
        if not text:
            return None
        values = tuple(float(part) for part in text.split("\\"))
        if len(values) != count or not all(math.isfinite(value) for value in values):
            raise ValueError(f"{keyword} is not {count} finite numbers")
        return values

    def integer(self, keyword: str, default: int = 0, signed: bool = False) -> int:
        """Return a binary (US, SS) or text (IS) integer; ``default`` if absent.

        Raises
        ------
        ValueError
            If the value is not an integer.
        """
        tag = tag_of(keyword)
        if tag not in self._dataset:
            return default
        element: DataElement | RawDataElement = self._dataset.get_item(tag)
        value = element.value
        if isinstance(element, RawDataElement) and value and element.VR != "IS" and keyword not in _TEXT_INTEGERS:
            return int.from_bytes(value[:2], "little" if element.is_little_endian else "big", signed=signed)
        text = self.text(keyword)
        return int(float(text)) if text else default

    def sequence(self, keyword: str) -> tuple[Elements, ...]:
        """Return the items of a sequence; empty if absent."""
        value = self._dataset.get(keyword)
        return tuple(Elements(item) for item in value) if value else ()

    def first(self, keyword: str) -> Elements | None:
        """Return the first item of a sequence; None if there is none."""
        items = self.sequence(keyword)
        return items[0] if items else None

    def decoded_text(self, keyword: str) -> str:
        """Return text in the character set that the file declares."""
        text = self.text(keyword)
        return text if text.isascii() else str(self._dataset[keyword].value).strip()


_TEXT_INTEGERS = frozenset({"NumberOfFrames", "SeriesNumber", "AcquisitionNumber"})
