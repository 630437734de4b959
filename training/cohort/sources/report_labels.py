"""The 80 labels, with sides, of many reports: each text is labelled once, in several processes, and remembered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training import __version__
from training.cohort.sources.base import Sides
from training.io.kept import SUFFIX, keep_array, kept_array
from training.labels import label_names
from training.partition.reports import label_report
from training.partition.reports.labels import Variant
from training.partition.reports.vocabulary import rules_sha256

Progress = Callable[[int, int, str], None]
Codes = npt.NDArray[np.uint8]

PRESENT, RIGHT, LEFT = 1, 2, 4
"""Bits of a label's code."""


@dataclass(frozen=True, eq=False)
class ReportTargets:
    """Labels of reports: ``codes`` is uint8, shape (N, 80), bits ``PRESENT``, ``RIGHT``, ``LEFT``."""

    codes: Codes

    def targets(self, row: int) -> npt.NDArray[np.float32]:
        """Return the ground truth of one report, float32 (80,)."""
        return np.asarray(self.codes[row] & PRESENT, dtype=np.float32)

    def sides(self, row: int) -> dict[str, Sides]:
        """Return the known sides of one report's present labels."""
        return {
            name: frozenset(side for side, bit in (("right", RIGHT), ("left", LEFT)) if code & bit)
            for name, code in zip(label_names(), self.codes[row].tolist(), strict=True)
            if code & PRESENT and code & (RIGHT | LEFT)
        }


def label_texts(
    texts: Sequence[str],
    variant: Variant = "default",
    memo: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> ReportTargets:
    """Return the labels of ``texts``; uncertain findings count as present.

    Parameters
    ----------
    texts
        N reports, findings and impression together; equal texts are labelled once.
    variant
        Of the labeler.
    memo
        Folder in which the result is kept for the same texts and the same labeler; None to keep nothing.
    workers
        Processes.
    progress
        Called with (done, total, stage).
    """
    unique = list(dict.fromkeys(texts))
    kept = None if memo is None else memo / f"labels-{_key(unique, variant)}{SUFFIX}"
    codes = None if kept is None else kept_array(kept)
    if codes is None:
        codes = _label(unique, variant, workers, progress)
        if kept is not None:
            keep_array(kept, codes)
    row = {text: index for index, text in enumerate(unique)}
    return ReportTargets(codes[[row[text] for text in texts]])


def _label(texts: Sequence[str], variant: Variant, workers: int, progress: Progress | None) -> Codes:
    codes = np.zeros((len(texts), len(label_names())), dtype=np.uint8)
    work = partial(codes_of, variant=variant)
    if workers <= 1:
        for index, own in enumerate(map(work, texts)):
            codes[index] = own
            _tell(progress, index, len(texts))
        return codes
    with ProcessPoolExecutor(workers) as pool:
        for index, own in enumerate(pool.map(work, texts, chunksize=64)):
            codes[index] = own
            _tell(progress, index, len(texts))
    return codes


def _tell(progress: Progress | None, index: int, total: int) -> None:
    if progress is not None:
        progress(index + 1, total, "labelling reports")


def codes_of(text: str, variant: Variant) -> list[int]:
    """Return the codes of the 80 labels for one report."""
    labels = label_report(text, variant=variant)
    values = labels.values()
    codes = []
    for name in label_names():
        sides = labels.sides(name)
        code = values[name] * PRESENT
        codes.append(code | (RIGHT if "right" in sides else 0) | (LEFT if "left" in sides else 0))
    return codes


def _key(texts: Sequence[str], variant: str) -> str:
    digest = hashlib.sha256(json.dumps([__version__, variant, _rules_sha256(), len(texts)]).encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()[:24]


@cache
def _rules_sha256() -> str:
    return rules_sha256()
