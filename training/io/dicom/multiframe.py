"""The frames of an enhanced or legacy-converted enhanced CT, from its functional groups (PS3.3 C.7.6.16)."""

from __future__ import annotations

from dataclasses import replace

from training.io.dicom.elements import Elements
from training.io.dicom.plane import parsed
from training.io.dicom.records import Frame, Header, Numbers
from training.issues import Issue, error


def frames_of_groups(header: Header, elements: Elements) -> tuple[Frame, ...]:
    """Return one plane per frame. Without functional groups there is one plane that carries the fault."""
    shared = elements.first("SharedFunctionalGroupsSequence")
    per_frame = elements.sequence("PerFrameFunctionalGroupsSequence")
    name = header.file.name
    if len(per_frame) != header.pixels.n_frames:
        found = f"{header.pixels.n_frames} frames, but {len(per_frame) or 'no'} per-frame functional groups"
        way_out = "Without them position and HU of the frames are unknown: export as single slices or as enhanced CT."
        return (replace(_empty(header), faults=(error("no-functional-groups", found, way_out, name),)),)
    return tuple(_Groups(shared, own, header, k).frame(elements) for k, own in enumerate(per_frame))


def _empty(header: Header) -> Frame:
    nothing = (None, None, None, None, None)
    return Frame(header, 0, *nothing, "", None, None, None, None, (), "", ())


class _Groups:
    """Values of one frame: its own functional group wins over the shared one."""

    def __init__(self, shared: Elements | None, own: Elements, header: Header, index: int) -> None:
        self._shared, self._own, self._header, self._index = shared, own, header, index
        self._faults: list[Issue] = []

    def _item(self, macro: str) -> Elements | None:
        found = self._own.first(macro)
        return found if found is not None or self._shared is None else self._shared.first(macro)

    def _numbers(self, macro: str, keyword: str, count: int) -> Numbers | None:
        item = self._item(macro)
        if item is None:
            return None
        what = f"{keyword} of frame {self._index + 1}"
        return parsed(self._faults, self._header.file.name, what, lambda: item.numbers(keyword, count))

    def _number(self, macro: str, keyword: str) -> float | None:
        found = self._numbers(macro, keyword, 1)
        return found[0] if found else None

    def _text(self, macro: str, keyword: str) -> str:
        item = self._item(macro)
        return item.text(keyword) if item is not None else ""

    def _integer(self, macro: str, keyword: str) -> str:
        item = self._item(macro)
        return str(item.integer(keyword)) if item is not None and item.text(keyword) else ""

    def frame(self, elements: Elements) -> Frame:
        """Return the plane."""
        frame_type = self._text("CTImageFrameTypeSequence", "FrameType") or elements.text("ImageType")
        return Frame(
            header=self._header,
            index=self._index,
            position_mm=self._numbers("PlanePositionSequence", "ImagePositionPatient", 3),
            orientation=self._numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6),
            spacing_mm=self._numbers("PixelMeasuresSequence", "PixelSpacing", 2),
            slope=self._number("PixelValueTransformationSequence", "RescaleSlope"),
            intercept=self._number("PixelValueTransformationSequence", "RescaleIntercept"),
            rescale_type=self._text("PixelValueTransformationSequence", "RescaleType"),
            thickness_mm=self._number("PixelMeasuresSequence", "SliceThickness"),
            spacing_between_mm=self._number("PixelMeasuresSequence", "SpacingBetweenSlices"),
            tilt_degrees=self._number("CTAcquisitionDetailsSequence", "GantryDetectorTilt"),
            padding=None,
            image_type=tuple(part.strip() for part in frame_type.split("\\")),
            kernel=self._text("CTReconstructionSequence", "ConvolutionKernel"),
            traits=self._traits(frame_type),
            faults=tuple(self._faults),
        )

    def _traits(self, frame_type: str) -> tuple[tuple[str, str], ...]:
        content = "FrameContentSequence"
        return (
            ("AcquisitionNumber", self._integer(content, "FrameAcquisitionNumber")),
            ("StackID", self._text(content, "StackID")),
            ("TemporalPositionIndex", self._integer(content, "TemporalPositionIndex")),
            ("FrameType", frame_type),
        )
