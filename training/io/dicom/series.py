"""From a pile of image planes to series that can each be one volume; what cannot be part of one is left out and told.

A series instance is split where its images differ in frame of reference, size, kernel, pixel spacing or orientation.
Images at the same place are exact duplicates (one is dropped), or belong to several acquisitions, phases, ... (split).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from training.io.dicom.header import Contents
from training.io.dicom.records import Frame, Header, Numbers
from training.io.dicom.stack import MIN_SLICES, positions_along_normal
from training.issues import Issue, note, warning

CT_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.2{suffix}" for suffix in ("", ".1", ".2"))
"""CT, Enhanced CT and Legacy Converted Enhanced CT Image Storage (PS3.4 B.5)."""

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

SAME_DIRECTION = 0.02
"""Direction cosines that differ by more belong to different orientations, not to noise."""

SAME_SPACING = 1e-4
"""Relative difference above which pixel spacings differ: 0.05 px over 512."""

SAME_POSITION = 0.01
"""Slices closer than this share of the usual distance lie at the same place."""

FAR_APART = 3.5
"""Acquisitions with a gap of more than this many slice distances between them are volumes of their own."""

SamePixels = Callable[[Frame, Frame], bool]


@dataclass(frozen=True)
class Group:
    """Image planes that may make one volume. ``told_apart_by`` says in words what it does not share with others."""

    frames: tuple[Frame, ...]
    told_apart_by: tuple[str, ...] = ()
    issues: tuple[Issue, ...] = ()

    @property
    def header(self) -> Header:
        """Header of its first file."""
        return self.frames[0].header

    def split(self, parts: Iterable[tuple[str, Sequence[Frame]]]) -> list[Group]:
        """Return one group per (words, frames); itself where there is only one part."""
        listed = list(parts)
        if len(listed) < 2:
            return [self]
        return [Group(tuple(frames), (*self.told_apart_by, words), self.issues) for words, frames in listed]


def select_planes(contents: Iterable[Contents]) -> tuple[list[Frame], list[Issue]]:
    """Return the planes that may belong to a CT volume, and a warning or note for each kind of thing left out."""
    kept: list[Frame] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    for one in contents:
        if one.junk:
            left_out[one.junk].append(one.name)
        for frame in one.frames:
            reason = _reason_to_leave_out(frame)
            if reason:
                left_out[reason].append(one.name)
            else:
                kept.append(frame)
    return kept, [_LEFT_OUT[reason](names) for reason, names in left_out.items()]


def make_groups(frames: Sequence[Frame], same_pixels: SamePixels) -> list[Group]:
    """Split ``frames`` into groups; ``same_pixels`` is asked only for planes that lie at the same place."""
    by_series: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_series[frame.header.series_uid].append(frame)
    groups = [Group(tuple(members)) for members in by_series.values()]
    for words, value, same in _CRITERIA:
        groups = [part for group in groups for part in group.split(_clusters(group.frames, words, value, same))]
    parts = [part for group in groups for part in _resolve_same_place(group, same_pixels)]
    return sorted(parts, key=_listing_order)


def _reason_to_leave_out(frame: Frame) -> str:
    header = frame.header
    if header.sop_class.startswith(SECONDARY_CAPTURE):
        return "secondary"
    if header.modality not in ("CT", "") or (header.sop_class and header.sop_class not in CT_CLASSES):
        return "not-ct"
    if header.pixels.samples != 1:
        return "secondary"
    return "localizer" if "LOCALIZER" in frame.image_type else ""


def _plural(count: int, one: str, many: str) -> str:
    return f"1 {one}" if count == 1 else f"{count} {many}"


def _warned(code: str, one: str, many: str, way_out: str = "") -> Callable[[list[str]], Issue]:
    return lambda names: warning(code, _plural(len(names), one, many), way_out, names[0])


def _noted(code: str, one: str, many: str) -> Callable[[list[str]], Issue]:
    return lambda names: note(code, _plural(len(names), one, many))


_LEFT_OUT: dict[str, Callable[[list[str]], Issue]] = {
    "localizer": _warned("localizer-left-out", "localizer image was left out", "localizer images were left out"),
    "secondary": _warned(
        "secondary-left-out",
        "color or secondary-capture image was left out",
        "color or secondary-capture images were left out",
    ),
    "not-ct": _warned("not-ct-left-out", "object is no CT image; left out", "objects are no CT images; left out"),
    "dicomdir": _noted("dicomdir-skipped", "DICOMDIR was skipped", "DICOMDIRs were skipped"),
    "not-dicom": _noted("files-skipped", "file is no DICOM; skipped", "files are no DICOM; skipped"),
    "empty": _noted("empty-files-skipped", "empty file was skipped", "empty files were skipped"),
    "unreadable": _warned(
        "unreadable-files-skipped",
        "DICOM file is damaged and cannot be read; skipped",
        "DICOM files are damaged and cannot be read; skipped",
        "If slices are missing, export the series again.",
    ),
}


def _closer_than(tolerance: float) -> Callable[[Numbers, Numbers], bool]:
    return lambda a, b: max(abs(x - y) for x, y in zip(a, b, strict=True)) <= tolerance


def _same_spacing(a: Numbers, b: Numbers) -> bool:
    return all(abs(x - y) <= SAME_SPACING * max(abs(x), abs(y)) for x, y in zip(a, b, strict=True))


def _equal(a: Hashable, b: Hashable) -> bool:
    return a == b


def _size(header: Header) -> tuple[int, int] | None:
    rows, columns = header.pixels.rows, header.pixels.columns
    return (rows, columns) if min(rows, columns) > 0 else None


def _listed(values: Numbers) -> str:
    return " x ".join(f"{v:.4g}" for v in values)


_CRITERIA: tuple[tuple[Callable[..., str], Callable[[Frame], object], Callable[..., bool]], ...] = (
    (lambda _: "frame of reference", lambda f: f.header.frame_of_reference or None, _equal),
    (lambda v: f"{v[0]} x {v[1]} px", lambda f: _size(f.header), _equal),
    (lambda v: f"kernel {v}", lambda f: f.kernel or None, _equal),
    (lambda v: f"pixels of {_listed(v)} mm", lambda f: f.spacing_mm, _same_spacing),
    (lambda v: f"orientation {_listed(v)}", lambda f: f.orientation, _closer_than(SAME_DIRECTION)),
)
"""(words for a value, the value, whether two values are the same)."""


def _clusters(
    frames: Sequence[Frame],
    words: Callable[..., str],
    value_of: Callable[[Frame], object],
    same: Callable[..., bool],
) -> list[tuple[str, list[Frame]]]:
    """Return frames by value; those without one join the largest cluster, so that their fault is seen there."""
    found: list[tuple[object, list[Frame]]] = []
    without: list[Frame] = []
    for frame in frames:
        value = value_of(frame)
        if value is None:
            without.append(frame)
            continue
        members = next((m for v, m in found if same(v, value)), None)
        if members is None:
            found.append((value, [frame]))
        else:
            members.append(frame)
    if not found:
        return [("", without)]
    max((m for _, m in found), key=len).extend(without)
    labels = [words(value) for value, _ in found]
    numbered = [f"{w} {k}" if labels.count(w) > 1 else w for k, w in enumerate(labels, 1)]
    return [(label, members) for label, (_, members) in zip(numbered, found, strict=True)]


def _resolve_same_place(group: Group, same_pixels: SamePixels) -> list[Group]:
    places = _places(group.frames)
    if places is None:
        return [group]
    unique, dropped = _without_duplicates(places, same_pixels)
    if dropped:
        group = _told_of_duplicates(replace(group, frames=unique), dropped)
        places = _places(group.frames) or []
    return group.split(_by_trait(group.frames, places))


def _places(frames: Sequence[Frame]) -> list[list[Frame]] | None:
    """Return the frames in order along the normal, those at one place together; None without geometry."""
    z = positions_along_normal(frames)
    if z is None or len(z) < 2:
        return None
    order = np.argsort(z, kind="stable")
    steps = np.diff(z[order])
    apart = steps[steps > 1e-3]
    tolerance = SAME_POSITION * float(np.median(apart)) if apart.size else 1e-3
    places = [[frames[order[0]]]]
    for k, step in zip(order[1:], steps, strict=True):
        if step > tolerance:
            places.append([])
        places[-1].append(frames[k])
    return places


def _without_duplicates(places: list[list[Frame]], same_pixels: SamePixels) -> tuple[tuple[Frame, ...], list[Frame]]:
    kept: list[Frame] = []
    dropped: list[Frame] = []
    for place in places:
        here: list[Frame] = []
        for frame in place:
            twin = any(frame.slope == other.slope and same_pixels(other, frame) for other in here)
            (dropped if twin else here).append(frame)
        kept.extend(here)
    return tuple(kept), dropped


def _told_of_duplicates(group: Group, dropped: list[Frame]) -> Group:
    fact = f"{_plural(len(dropped), 'slice is an exact duplicate and was', 'slices are exact duplicates and were')}"
    return replace(
        group, issues=(*group.issues, warning("duplicate-slice", f"{fact} dropped", file=dropped[0].file_name))
    )


def _by_trait(frames: Sequence[Frame], places: list[list[Frame]]) -> list[tuple[str, list[Frame]]]:
    """Return the frames by the first trait that makes volumes of them; one part where none does, or none is needed.

    Acquisitions also part where they interleave, or where far more than a slice or two is missing between them; where
    one goes on from the other, as axial scans do, they are one volume.
    """
    if any(len(place) > 1 for place in places):
        for keyword, _ in frames[0].traits:
            parts = _parts_by(frames, keyword)
            if len(parts) > 1 and all(len(part) >= MIN_SLICES and _is_single(part) for part in parts.values()):
                return [(f"{_in_words(keyword)} {value or 'not stated'}", part) for value, part in parts.items()]
    elif frames[0].traits and len(parts := _parts_by(frames, frames[0].traits[0][0])) > 1:
        return [(f"acquisition {name}", run) for name, run in _runs(parts)] or [("", list(frames))]
    return [("", list(frames))]


def _parts_by(frames: Sequence[Frame], keyword: str) -> dict[str, list[Frame]]:
    parts: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        parts[dict(frame.traits).get(keyword, "")].append(frame)
    return dict(parts)


def _is_single(part: Sequence[Frame]) -> bool:
    """Return True if no two frames of ``part`` lie at one place."""
    places = _places(part)
    return places is not None and all(len(place) == 1 for place in places)


def _runs(parts: dict[str, list[Frame]]) -> list[tuple[str, list[Frame]]]:
    """Join acquisitions that go on from one another; if they interleave, each that can be a volume stands alone."""
    spans = sorted((_span(part), name) for name, part in parts.items())
    gaps = [(after[0][0] - before[0][1]) / max(before[0][2], after[0][2]) for before, after in pairwise(spans)]
    if min(gaps) < -0.5 and all(len(part) >= MIN_SLICES for part in parts.values()):
        return [(name or "not stated", parts[name]) for _, name in spans]
    runs = [[spans[0][1]]]
    for gap, (_, name) in zip(gaps, spans[1:], strict=True):
        if gap > FAR_APART:
            runs.append([])
        runs[-1].append(name)
    joined = [(", ".join(names), [frame for name in names for frame in parts[name]]) for names in runs]
    return joined if all(len(run) >= MIN_SLICES for _, run in joined) else joined[:0]


def _span(part: Sequence[Frame]) -> tuple[float, float, float]:
    """Return first and last position and the usual distance of ``part``, mm."""
    z = positions_along_normal(part)
    if z is None:
        raise ValueError("frames without geometry have no span")
    z = np.sort(z)
    return float(z[0]), float(z[-1]), float(np.median(np.diff(z))) if len(z) > 1 else 1e-3


def _in_words(keyword: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in keyword).strip()


def _listing_order(group: Group) -> tuple[int, str, tuple[str, ...]]:
    number = group.header.series_number
    return (int(number) if number.lstrip("-").isdigit() else 0, group.header.series_uid, group.told_apart_by)
