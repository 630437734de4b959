"""What a session offers to choose from: models that need no file, kinds of CT files, devices."""

from __future__ import annotations

import sys

MODELS = (
    ("demo", "Demo model (trained on phantoms)"),
    ("axialnet-local:random", "AxialNet local, random weights"),
    ("axialnet-same:random", "AxialNet same, random weights"),
    ("axialnet:random", "AxialNet (paper), random weights"),
)
"""Models that need no file; random weights serve to measure speed and to test exactness."""

CT_FILES = "CT (*.zip *.dcm *.ima *.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.npz *.hirescam);;All files (*)"


def devices_here() -> tuple[str, ...]:
    """Return the devices worth offering on this system; one that is missing falls back to the CPU with a notice."""
    return ("auto", "cpu", "mps") if sys.platform == "darwin" else ("auto", "cpu", "cuda")
