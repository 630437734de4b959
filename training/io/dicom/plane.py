"""One image plane from a classic single-frame header: values as they stand, and a fault for each unreadable one."""

from __future__ import annotations

from collections.abc import Callable

from training.io.dicom.elements import Elements
from training.io.dicom.records import Frame, Header, Numbers
from training.issues import Issue, error

TRAITS = (
    *("AcquisitionNumber", "TemporalPositionIdentifier", "NominalPercentageOfCardiacPhase", "TriggerTime", "KVP"),
    *("ImageType", "ContrastBolusAgent", "FilterType", "ReconstructionDiameter", "AcquisitionTime"),
)
"""Elements whose values tell apart images of one series at one place, most telling first."""

_WAY_OUT = "Export this slice again from the archive; a coordinate that is not known cannot be mended."


def frame_of(header: Header, elements: Elements) -> Frame:
    """Return the image plane of a file with one frame (PS3.3 C.7.6.2, C.7.6.3, C.8.2.1)."""
    faults: list[Issue] = []
    name = header.file.name

    def numbers(keyword: str, count: int) -> Numbers | None:
        return parsed(faults, name, keyword, lambda: elements.numbers(keyword, count))

    def number(keyword: str) -> float | None:
        found = numbers(keyword, 1)
        return found[0] if found else None

    return Frame(
        header=header,
        index=0,
        position_mm=numbers("ImagePositionPatient", 3),
        orientation=numbers("ImageOrientationPatient", 6),
        spacing_mm=numbers("PixelSpacing", 2),
        slope=number("RescaleSlope"),
        intercept=number("RescaleIntercept"),
        rescale_type=elements.text("RescaleType"),
        thickness_mm=_optional(elements, "SliceThickness"),
        spacing_between_mm=_optional(elements, "SpacingBetweenSlices"),
        tilt_degrees=_optional(elements, "GantryDetectorTilt"),
        padding=padding_of(header, elements),
        image_type=elements.texts("ImageType"),
        kernel=elements.text("ConvolutionKernel"),
        traits=tuple((keyword, elements.text(keyword)) for keyword in TRAITS),
        faults=tuple(faults),
    )


def parsed(faults: list[Issue], file: str, what: str, parse: Callable[[], Numbers | None]) -> Numbers | None:
    """Return what ``parse`` gives; where it cannot, add a fault that names ``what`` and return None."""
    try:
        return parse()
    except ValueError:
        faults.append(error("not-a-number", f"{what} does not hold the numbers it must", _WAY_OUT, file))
        return None


def padding_of(header: Header, elements: Elements) -> tuple[int, int] | None:
    """Return the range of stored values that mean "no data" (PS3.3 C.7.5.1.1.2); None if not stated."""
    signed = header.pixels.signed
    if not elements.text("PixelPaddingValue"):
        return None
    value = elements.integer("PixelPaddingValue", signed=signed)
    limit = elements.integer("PixelPaddingRangeLimit", default=value, signed=signed)
    return min(value, limit), max(value, limit)


def _optional(elements: Elements, keyword: str) -> float | None:
    """Return a number that only serves to compare; None if absent or unreadable."""
    try:
        found = elements.numbers(keyword, 1)
    except ValueError:
        return None
    return found[0] if found else None
