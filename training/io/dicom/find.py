"""Which series a folder, archive or file holds, what is wrong with each, and which one is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.io.dicom.checks import check_frames, check_stack
from training.io.dicom.header import read_header
from training.io.dicom.pixels import Tally, stored_pixels, to_hu
from training.io.dicom.records import Frame, Source
from training.io.dicom.series import Group, make_groups, select_planes
from training.io.dicom.stack import MIN_SLICES, Stack, make_stack
from training.io.series import SeriesChoiceNeeded, SeriesInfo
from training.issues import InputError, Issue, Severity, error, warning
from training.words import counted


@dataclass(frozen=True, eq=False)
class Candidate:
    """One series that could be read. ``stack`` is None where planes lack geometry; then ``issues`` say so."""

    number: int
    group: Group
    stack: Stack | None
    issues: tuple[Issue, ...]

    def is_readable(self, repair: bool) -> bool:
        """Return True if nothing known so far forbids reading it; with ``repair`` what can be mended does not."""
        return not self.errors(repair)

    def errors(self, repair: bool = False) -> tuple[Issue, ...]:
        """Return what forbids reading it."""
        return tuple(i for i in self.issues if i.severity is Severity.ERROR and not (repair and i.repairable))

    def info(self, general: Sequence[Issue] = ()) -> SeriesInfo:
        """Return it as a list or a chooser shows it."""
        header = self.group.header
        spacing = (self.stack.step_mm, *self.stack.spacing_mm) if self.stack and len(self.stack.frames) > 1 else None
        name = header.description or header.modality or "CT"
        return SeriesInfo(
            number=self.number,
            description=", ".join((name, *(words for words in self.group.told_apart_by if words))),
            n_slices=len(self.group.frames),
            spacing_mm=spacing,
            kernel=self.group.frames[0].kernel,
            modality=header.modality or "CT",
            issues=(*self.issues, *general),
        )


def find_candidates(files: Sequence[Source]) -> tuple[list[Candidate], list[Issue]]:
    """Return the series in ``files``, from headers alone, and what was left out of them.

    Raises
    ------
    InputError
        If there is no CT series.
    """
    frames, general = select_planes(read_header(file) for file in files)
    if not frames:
        raise InputError([_nothing(files, general), *general])
    groups = make_groups(frames, same_pixels)
    return [_candidate(number, group) for number, group in enumerate(groups, 1)], general


def choose(candidates: Sequence[Candidate], general: Sequence[Issue], series: int | None, repair: bool) -> Candidate:
    """Return the series that is meant, its issues with all that is to be told about the others.

    Raises
    ------
    SeriesChoiceNeeded
        Several series can be read and ``series`` is None, or there is no such number.
    InputError
        None can be read; or a truncated file may be a slice of the one that can.
    """
    if series is not None:
        return _numbered(candidates, general, series, repair)
    readable = [c for c in candidates if c.is_readable(repair)]
    if len(readable) > 1:
        raise SeriesChoiceNeeded(tuple(c.info(general) for c in candidates))
    if not readable:
        raise InputError([*_all_errors(candidates, repair), *general])
    cut = [c for c in candidates if c is not readable[0] and _may_be_a_slice_of(readable[0], c)]
    if cut:
        raise InputError([_cut_off(frame.file_name) for c in cut for frame in c.group.frames])
    others = [_left_out(c) for c in candidates if c is not readable[0]]
    return _with(readable[0], [*general, *others], repair)


def same_pixels(a: Frame, b: Frame) -> bool:
    """Return True if two planes show the same HU."""
    return bool(np.array_equal(_hu(a), _hu(b)))


def _hu(frame: Frame) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    ((_, stored),) = stored_pixels(frame.header, (frame.index,))
    hu = np.empty(stored.shape, np.int16)
    to_hu(stored, frame, hu, Tally())
    return hu


def _candidate(number: int, group: Group) -> Candidate:
    found = [*group.issues, *check_frames(group.frames)]
    stack = make_stack(group.frames)
    if stack is not None:
        found += check_stack(stack)
    return Candidate(number, group, stack, tuple(found))


def _numbered(candidates: Sequence[Candidate], general: Sequence[Issue], series: int, repair: bool) -> Candidate:
    if not 1 <= series <= len(candidates):
        raise SeriesChoiceNeeded(tuple(c.info(general) for c in candidates), series)
    chosen = candidates[series - 1]
    if not chosen.is_readable(repair):
        raise InputError([*chosen.errors(repair), *general])
    return _with(chosen, general, repair)


def _with(candidate: Candidate, more: Sequence[Issue], repair: bool) -> Candidate:
    """Return ``candidate`` with more issues, and without the errors that are about to be repaired."""
    kept = [i for i in candidate.issues if not (repair and i.repairable)]
    return Candidate(candidate.number, candidate.group, candidate.stack, (*kept, *more))


def _all_errors(candidates: Sequence[Candidate], repair: bool) -> list[Issue]:
    """Return the errors of the series that are large enough to be meant (of all if none is), and tell of the others."""
    large = [c for c in candidates if len(c.group.frames) >= MIN_SLICES] or list(candidates)
    found = [issue for c in large for issue in c.errors(repair)]
    return list(dict.fromkeys([*found, *(_left_out(c) for c in candidates if c not in large)]))


def _may_be_a_slice_of(series: Candidate, other: Candidate) -> bool:
    """Return True if ``other`` is what is left of files that end in their header, before they say anything else."""
    ends_early = all(not frame.header.pixels.present for frame in other.group.frames)
    return ends_early and other.group.header.series_uid in ("", series.group.header.series_uid)


def _cut_off(name: str) -> Issue:
    fact = "the file is truncated: it ends before its pixel data, and may be a slice of this series"
    return error("no-pixels", fact, "Copy or export this file again, or take it out of the folder.", name)


def _left_out(candidate: Candidate) -> Issue:
    count = len(candidate.group.frames)
    what = candidate.info().description
    reason = candidate.errors()[0].message
    fact = (
        f"{count} image{'s' if count > 1 else ''} of another series ({what}) cannot be read and were left out: {reason}"
    )
    return warning("series-left-out", fact, f"To see why, choose --series {candidate.number}.")


def _nothing(files: Sequence[Source], general: Sequence[Issue]) -> Issue:
    if not files:
        return error("empty-folder", "there are no files in it", "Choose the folder that holds the DICOM files.")
    if {issue.code for issue in general} & {"localizer-left-out"}:
        fact = "there is only a localizer, no CT series"
        return error("only-localizer", fact, "Choose the folder that holds the CT itself.")
    if all(issue.code.endswith("skipped") for issue in general):
        fact = f"none of {counted(len(files), 'file')} is a DICOM image that can be read"
        return error("no-dicom", fact, "Choose the folder that holds the DICOM files.")
    return error("no-ct", "there is no CT image series", "Choose the folder that holds the CT.")
