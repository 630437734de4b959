"""Are these values Hounsfield units? And what is padding in them? The same answers for every file format."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from training.issues import Issue, error, warning
from training.volume import AIR_HU

PADDING_HU = -1500
"""Values up to here are no radiodensity: scanners fill the corners with -2000, -2048 or -3024."""

AIR_RANGE_HU = (-1100.0, -600.0)
"""Air around the patient and lung tissue."""

TISSUE_RANGE_HU = (-200.0, 300.0)
"""Fat, muscle, blood with and without contrast."""

DENSE_HU = 700.0
"""Above lies dense bone, dense contrast and metal: a small part of any chest."""

MIN_AIR_SHARE = 0.005
MIN_TISSUE_SHARE = 0.05
MAX_DENSE_SHARE = 0.15

_SAMPLE = 2_000_000


def why_not_hu(values: npt.NDArray[Any]) -> str | None:
    """Return in words why ``values`` (any shape, any number type) cannot be HU of a chest CT; None if they can.

    Padding (up to ``PADDING_HU``) and values that are not finite are left out. Of the rest, a share must lie at air or
    lung, a share at soft tissue, and few above dense bone. Stored values without their rescale intercept (a plain
    offset of 1000 or 1024, once too few or once too often), windowed gray values and 8-bit pictures do not pass.
    """
    real = _sample(values)
    if real.size == 0:
        return "all voxels are padding or not a number"
    low, high = float(real.min()), float(real.max())
    seen = f"the values run from {low:g} to {high:g}"
    air = _share(real, *AIR_RANGE_HU)
    if air < MIN_AIR_SHARE:
        return f"{seen}, but hardly any ({air:.1%}) lie at air or lung (-1000 to -600 HU){_offset_hint(real)}"
    if _share(real, *TISSUE_RANGE_HU) < MIN_TISSUE_SHARE:
        return f"{seen}, but hardly any lie at soft tissue (-200 to 300 HU)"
    body = real[real > AIR_RANGE_HU[1]]
    dense = float(np.mean(body > DENSE_HU))
    if dense > MAX_DENSE_SHARE:
        return (
            f"{dense:.0%} of the body would be denser than {DENSE_HU:g} HU, which is bone or metal{_offset_hint(body)}"
        )
    return None


def not_hu(reason: str, file: str | None = None) -> Issue:
    """Return the error for values that :func:`why_not_hu` found wanting."""
    return error(
        "not-hu",
        f"the values are not Hounsfield units: {reason}",
        "Export the CT again with rescale slope and intercept applied; air must be near -1000 and water near 0.",
        file,
    )


def padding_to_air(hu: npt.NDArray[np.int16], file: str | None = None) -> tuple[Issue, ...]:
    """Set padding to air, in place; return the warning that says so, or nothing where there was none.

    Parameters
    ----------
    hu
        int16, at least two axes, HU; changed in place.
    """
    lowest = int(hu.min())
    if lowest > PADDING_HU:
        return ()
    count = 0
    for part in hu:  # one slice at a time: no second array of full size
        padding = part <= PADDING_HU
        count += int(np.count_nonzero(padding))
        part[padding] = AIR_HU
    message = f"{count / hu.size:.1%} of the voxels are padding ({lowest}), not radiodensity; treated as air"
    return (warning("padding", message, file=file),)


def _sample(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return up to about ``_SAMPLE`` evenly spread finite values above padding."""
    step = max(1, round((values.size / _SAMPLE) ** (1 / max(1, values.ndim))))
    part = values[(slice(None, None, step),) * values.ndim].astype(np.float32).ravel()
    return part[np.isfinite(part) & (part > PADDING_HU)]


def _share(values: npt.NDArray[np.float32], low: float, high: float) -> float:
    return float(np.mean((values >= low) & (values <= high)))


def _offset_hint(values: npt.NDArray[np.float32]) -> str:
    """Say so where tissue stands about 1024 above where it belongs."""
    if _share(values, TISSUE_RANGE_HU[0] + 1024, TISSUE_RANGE_HU[1] + 1024) < MIN_TISSUE_SHARE:
        return ""
    return "; they look like stored values to which the rescale intercept of about -1024 was never added"
