"""Everything that headers alone can tell is wrong with a series: one issue per fact, the pixels untouched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from training.geometry import FloatArray
from training.io.dicom.decoders import decoder_issue, is_compressed
from training.io.dicom.records import Frame, Header
from training.io.dicom.spacing import spacing_issues
from training.io.dicom.stack import MIN_SLICES, Stack
from training.io.extent import MIN_SPACING_MM, why_no_patient
from training.issues import Issue, error, warning
from training.words import counted, counted_of

ORIENTATION_NOISE = 1e-3
"""Largest noise of a direction cosine that is accepted, with a warning."""

_NOISE_SLACK = 1.5
"""The median that noise is measured against is itself noisy."""

ORIENTATION_ROUNDING = 6e-5
"""Below, direction cosines are as exact as four written digits are."""

SHIFT_ACCEPTED_PX = 0.1
"""In-plane shift of a slice off the common normal that goes without saying."""

SHIFT_REFUSED_PX = 0.5
"""Above, a slice would be drawn at the wrong pixel."""

TILT_DEGREES = 0.5
"""A gantry tilted by less counts as straight."""

HEADER_TOLERANCE = 0.01
"""Relative difference above which SliceThickness or SpacingBetweenSlices disagrees with the positions."""

HU_RESCALE_TYPES = ("HU", "HU_MOD")

_EXPORT = "Export the series again from the archive."


def check_frames(frames: Sequence[Frame]) -> list[Issue]:
    """Return what is wrong with single planes and files; equal facts about many files are told once."""
    found: list[Issue] = []
    if len(frames) < MIN_SLICES and not any(f.faults for f in frames):
        found.append(_too_few(frames))
    found += [issue for frame in frames for issue in (*frame.faults, *_geometry_faults(frame))]
    found += [issue for header in _headers(frames) for issue in _file_faults(header)]
    return [*_merged(found), *_rescale_issues(frames), *_remarks(frames)]


def check_stack(stack: Stack) -> list[Issue]:
    """Return what is wrong with how the planes lie to each other."""
    if len(stack.frames) < MIN_SLICES:
        return []
    reason = why_no_patient((len(stack.frames),), (stack.step_mm,)) if stack.step_mm > MIN_SPACING_MM else None
    if reason:
        fact = f"{reason}, so the positions of its slices cannot be right"
        return [error("implausible-size", fact, _EXPORT, stack.frames[0].file_name)]
    return [
        *_orientation_issues(stack),
        *spacing_issues(stack.z_mm, [frame.file_name for frame in stack.frames]),
        *_shift_issues(stack),
        *_disagreements(stack),
    ]


def _headers(frames: Iterable[Frame]) -> Iterable[Header]:
    return {id(frame.header): frame.header for frame in frames}.values()


def _merged(issues: Sequence[Issue]) -> list[Issue]:
    """Return one issue per (code, message), naming the first file and how many more there are."""
    files: dict[tuple[str, str], list[Issue]] = {}
    for issue in issues:
        files.setdefault((issue.code, issue.message), []).append(issue)
    return [_and_more(same[0], len(same) - 1) for same in files.values()]


def _and_more(issue: Issue, more: int) -> Issue:
    if more == 0:
        return issue
    return replace(issue, message=f"{issue.message} (and the same in {counted(more, 'more file')})")


def _too_few(frames: Sequence[Frame]) -> Issue:
    count = len(frames)
    fact = f"there {'is' if count == 1 else 'are'} only {count} slice{'s' if count > 1 else ''} of this series"
    return error("too-few-slices", fact, "Choose the folder that holds the whole series.", frames[0].file_name)


def _geometry_faults(frame: Frame) -> list[Issue]:
    """Return errors for absent geometry; a value that is there but unreadable has its own fault already."""
    if frame.faults:
        return []
    absent = [
        ("no-position", "ImagePositionPatient", frame.position_mm),
        ("no-orientation", "ImageOrientationPatient", frame.orientation),
        ("no-pixel-spacing", "PixelSpacing", frame.spacing_mm),
    ]
    found = [
        error(
            code, f"it has no {keyword}, so where it lies or how large it is cannot be known", _EXPORT, frame.file_name
        )
        for code, keyword, value in absent
        if value is None
    ]
    if frame.spacing_mm is not None and min(frame.spacing_mm) <= 0:
        found.append(error("no-pixel-spacing", "its PixelSpacing is not above zero", _EXPORT, frame.file_name))
    elif frame.spacing_mm is not None:
        reason = why_no_patient((frame.header.pixels.rows, frame.header.pixels.columns), frame.spacing_mm)
        if reason:
            fact = f"{reason}, so its PixelSpacing cannot be right"
            found.append(error("implausible-size", fact, _EXPORT, frame.file_name))
    return found


def _file_faults(header: Header) -> list[Issue]:
    pixels, name = header.pixels, header.file.name
    if not pixels.present:
        return [error("no-pixels", "the file ends before its pixel data", _EXPORT, name)]
    if pixels.rows < 1 or pixels.columns < 1 or pixels.bits_allocated not in (8, 16, 32):
        return [error("bad-pixel-header", "it does not say how its pixels are stored", _EXPORT, name)]
    missing = decoder_issue(pixels.transfer_syntax, name)
    return [missing] if missing else _length_faults(header)


def _length_faults(header: Header) -> list[Issue]:
    pixels, name = header.pixels, header.file.name
    if pixels.offset is None:
        return []
    compressed = is_compressed(pixels.transfer_syntax)
    if compressed is not (pixels.length is None):
        fact = "its transfer syntax says that pixels are {}, but they are not"
        words = "compressed" if compressed else "uncompressed"
        return [error("wrong-transfer-syntax", fact.format(words), _EXPORT, name)]
    if pixels.length is None:
        return []
    held = min(pixels.length, header.file.size - pixels.offset)
    if held < pixels.expected_bytes:
        fact = f"its pixel data are truncated: {held} of {pixels.expected_bytes} bytes"
        return [error("truncated-pixels", fact, "Copy or export this file again.", name)]
    return []


def _rescale_issues(frames: Sequence[Frame]) -> list[Issue]:
    without = [f for f in frames if f.slope is None or f.intercept is None]
    if 0 < len(without) < len(frames) and not any(f.faults for f in without):
        fact = f"{counted_of(len(without), len(frames), 'slice has')} no RescaleSlope and RescaleIntercept"
        return [error("rescale-missing", fact, _EXPORT, without[0].file_name)]
    flat = next((f for f in frames if f.slope is not None and f.slope <= 0), None)
    if flat is not None:
        fact = "zero" if flat.slope == 0 else f"below zero ({flat.slope:g})"
        return [error("rescale-zero", f"its RescaleSlope is {fact}", _EXPORT, flat.file_name)]
    other = next((f for f in frames if f.rescale_type not in ("", "US", *HU_RESCALE_TYPES)), None)
    if other is not None:
        fact = f"its values are of RescaleType {other.rescale_type!r}, not Hounsfield units"
        return [error("not-hu", fact, "Choose the series in Hounsfield units.", other.file_name)]
    return []


_REMARKS: tuple[tuple[Callable[[Header], bool], str, str, str], ...] = (
    (lambda h: h.lossy, "lossy-compression", "the images were compressed with loss", "HU may be off by some tens."),
    (
        lambda h: h.burned_in,
        "burned-in-annotation",
        "text is burned into the images; it may name the patient",
        "Look at the images before you show or export them.",
    ),
)


def _remarks(frames: Sequence[Frame]) -> list[Issue]:
    headers = list(_headers(frames))
    return [
        warning(code, fact, way_out)
        for applies, code, fact, way_out in _REMARKS
        if any(applies(header) for header in headers)
    ]


def _orientation_issues(stack: Stack) -> list[Issue]:
    worst_own, worst = int(np.argmax(stack.own_deviation)), int(np.argmax(stack.deviation))
    limit = ORIENTATION_NOISE * _NOISE_SLACK
    if stack.own_deviation[worst_own] > limit:
        fact = "the direction vectors of its ImageOrientationPatient are not of unit length or not at right angles"
        return [error("orientation-not-unit", fact, _EXPORT, stack.frames[worst_own].file_name)]
    if stack.deviation[worst] > limit:
        fact = f"it is turned against the other slices (direction cosines differ by {stack.deviation[worst]:.2g})"
        return [error("orientation-differs", fact, _EXPORT, stack.frames[worst].file_name)]
    noise = max(stack.deviation[worst], stack.own_deviation[worst_own])
    if noise > ORIENTATION_ROUNDING:
        return [warning("orientation-noise", f"direction cosines vary by {noise:.1g}; their median is used")]
    return []


def _shift_issues(stack: Stack) -> list[Issue]:
    """Tell gantry tilt (a steady shift down the columns of tilted slices) from drift (any other shift)."""
    largest = float(np.abs(stack.shift_mm / np.asarray(stack.spacing_mm)).max())
    if largest <= SHIFT_ACCEPTED_PX:
        return _tilt_remark(stack)
    if largest <= SHIFT_REFUSED_PX:
        return [warning("in-plane-drift", f"slices are shifted against each other by up to {largest:.1g} px")]
    angle = tilt_angle(stack)
    if angle is not None:
        fact = f"the gantry was tilted by {abs(angle):.1f} degrees: each slice is shifted against the one before"
        return [error("gantry-tilt", fact, "Read it with repair to shear the tilt out.", repairable=True)]
    fact = f"slices are shifted in their plane against each other by up to {largest:.1f} px"
    return [error("in-plane-drift", fact, "Read it with repair to move them back.", repairable=True)]


def tilt_angle(stack: Stack) -> float | None:
    """Return the gantry tilt in degrees if the shift of the slices is that of one; None if it is anything else."""
    z = stack.z_mm - stack.z_mm[0]
    slope = z @ stack.shift_mm / (z @ z)
    residual: FloatArray = np.abs(stack.shift_mm - np.outer(z, slope)) / np.asarray(stack.spacing_mm)
    down, along = float(slope[0]), float(slope[1])
    if residual.max() > SHIFT_REFUSED_PX or abs(along) > 0.1 * abs(down):
        return None
    tilted_plane = 1 - np.abs(stack.axes[:, 0]).max() > 1 - np.cos(np.radians(TILT_DEGREES))
    told = any(abs(frame.tilt_degrees or 0) > TILT_DEGREES for frame in stack.frames)
    return float(np.degrees(np.arctan(down))) if tilted_plane or told else None


def _tilt_remark(stack: Stack) -> list[Issue]:
    tilt = max((frame.tilt_degrees or 0 for frame in stack.frames), key=abs)
    if abs(tilt) <= TILT_DEGREES:
        return []
    fact = f"the header names a gantry tilt of {tilt:g} degrees, but the positions make a straight grid; they win"
    return [warning("gantry-tilt-in-header", fact)]


def _disagreements(stack: Stack) -> list[Issue]:
    found: list[Issue] = []
    step = float(np.median(np.diff(stack.z_mm)))
    if step <= 1e-3:
        return found
    for code, keyword, values in (
        ("slice-thickness-differs", "SliceThickness", [f.thickness_mm for f in stack.frames]),
        ("spacing-between-slices-differs", "SpacingBetweenSlices", [f.spacing_between_mm for f in stack.frames]),
    ):
        told = [abs(v) for v in values if v]
        worst = max(told, key=lambda v: abs(v - step), default=step)
        if abs(worst - step) > HEADER_TOLERANCE * step:
            fact = f"{keyword} is {worst:g} mm, but slices lie {step:.4g} mm apart; the positions win"
            found.append(warning(code, fact))
    return found
