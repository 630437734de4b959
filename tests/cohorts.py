"""A tiny cohort of phantoms and tiny models for tests."""

from __future__ import annotations

from pathlib import Path

from training.cohort.phantom import PhantomGrid
from training.cohort.phantom.cohort import write_cohort
from training.models.checkpoint import save_checkpoint
from training.models.registry import build_model
from training.preprocess import InputSpec

LABELS = ("lung nodule", "lung mass", "pleural effusion", "cardiomegaly", "consolidation")
SPEC = InputSpec((12.0, 9.0, 9.0), (27, 36, 36))
WIDE = InputSpec((4.0, 1.1, 1.1), (81, 320, 320))
"""Large enough for networks that shrink the slice and its neighbours a lot."""


def write_phantoms(folder: Path, n: int = 6, seed: int = 0) -> Path:
    """Write ``n`` phantoms of 4 to 5 mm voxels to ``folder`` and return it."""
    return write_cohort(folder, n, seed, PhantomGrid((60, 80, 80), (5.4, 4.2, 4.2)))


def write_model(
    file: Path,
    architecture: str = "axialnet-local",
    seed: int = 0,
    spec: InputSpec = SPEC,
    channels: tuple[int, ...] = (8, 4),
) -> Path:
    """Write a narrow random network of five labels to ``file`` and return it."""
    save_checkpoint(file, build_model(architecture, LABELS, spec, seed, width=4, custom_channels=channels))
    return file
