"""What is opened together: a CT, the stored result of one, or a CT with its own result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.cohort.store import find_case
from training.explain.result import Explanation
from training.issues import InputError, error
from training.volume import Volume
from training.words import counted


@dataclass(frozen=True)
class Inputs:
    """Where the CT and the stored result are; None for what was not given."""

    ct: Path | None = None
    result: Path | None = None


@dataclass(frozen=True)
class Origin:
    """How a CT was read: to read its headers and its own grid again."""

    path: Path
    series: int | None = None
    repair: bool = False


def sort_inputs(paths: Sequence[Path]) -> Inputs:
    """Return which of ``paths`` is the CT and which the result.

    Raises
    ------
    InputError
        If there are two of a kind.
    """
    results = [path for path in paths if find_case(path) is not None]
    cts = [path for path in paths if path not in results]
    if len(results) > 1 or len(cts) > 1:
        fact = f"{counted(len(cts), 'CT')} and {counted(len(results), 'result')} were given"
        raise InputError(error("too-many-inputs", fact, "Open one CT, one result, or a CT with its own result."))
    return Inputs(next(iter(cts), None), next(iter(results), None))


def check_same_ct(volume: Volume, explanation: Explanation) -> None:
    """Refuse a result that was made from other pixels than ``volume``'s, or from the same ones at another place.

    Raises
    ------
    InputError
        If the hashes of the pixels differ, or the geometries.
    """
    made_from = explanation.provenance.get("pixels_sha256", "")
    elsewhere = not explanation.image_geometry.allclose(volume.geometry, atol_mm=0.1)
    if made_from and (elsewhere or made_from != volume.provenance.pixels_sha256):
        fact = "the result was made from another CT than the one that is open"
        raise InputError(error("other-ct", fact, "Open the CT it was made from, or the result alone."))
