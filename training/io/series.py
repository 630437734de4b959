"""What a folder or file offers to read: one entry per series, and the question which one is meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.issues import InputError, Issue, Severity, error
from training.words import counted


@dataclass(frozen=True, eq=False)
class SeriesInfo:
    """One series that could be read, as a chooser or a list shows it. Free of patient data.

    Parameters
    ----------
    number
        What ``read_ct(path, series=number)`` and ``--series`` take; counts from 1 in the order of the list.
    description
        What distinguishes it, such as ``"CT, kernel B70f"``; never a name or a UID.
    n_slices
        Slices that would be read.
    spacing_mm
        (slice, row, column); None where it is not known.
    kernel
        Reconstruction kernel, empty if not stated.
    modality
        ``"CT"`` or what the file says.
    thumbnail
        uint8, 2-D, middle slice in a soft-tissue window; None where it was not asked for or cannot be decoded.
    issues
        What is known without reading all pixels.
    """

    number: int
    description: str
    n_slices: int
    spacing_mm: tuple[float, float, float] | None = None
    kernel: str = ""
    modality: str = "CT"
    thumbnail: npt.NDArray[np.uint8] | None = None
    issues: tuple[Issue, ...] = ()

    @property
    def loadable(self) -> bool:
        """True if nothing known so far forbids reading it, with or without repair."""
        return all(i.severity is not Severity.ERROR or i.repairable for i in self.issues)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON types, without the thumbnail."""
        return {
            "number": self.number,
            "description": self.description,
            "n_slices": self.n_slices,
            "spacing_mm": list(self.spacing_mm) if self.spacing_mm else None,
            "kernel": self.kernel,
            "modality": self.modality,
            "loadable": self.loadable,
            "issues": [i.to_dict() for i in self.issues],
        }


class SeriesChoiceNeeded(InputError):  # noqa: N818 - a question to the user
    """The input holds several series, and none was chosen, or ``asked``, which is none of them.

    ``series`` are the ones to choose from.
    """

    def __init__(self, series: tuple[SeriesInfo, ...], asked: int | None = None) -> None:
        self.series = series
        found = f"there are {len(series)} series here, and only one can be read at a time"
        if asked is not None:
            found = f"there is no series {asked}; there {'is' if len(series) == 1 else 'are'} {len(series)}"
        choices = "".join(f"\n  --series {_line(info)}" for info in series)
        way_out = f"Choose one by its number (--series N, or in the chooser):{choices}"
        super().__init__(error("several-series" if asked is None else "no-such-series", found, way_out))


def _line(info: SeriesInfo) -> str:
    spacing = " x ".join(f"{s:.3g}" for s in info.spacing_mm) + " mm" if info.spacing_mm else "spacing unknown"
    state = "" if info.loadable else " (cannot be read)"
    return f"{info.number}  {info.description}, {counted(info.n_slices, 'slice')}, {spacing}{state}"
