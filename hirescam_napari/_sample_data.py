"""File > Open Sample > HiResCAM: chest phantoms, each with other findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hirescam_napari._case import Case
from hirescam_napari._layers import TRUTH_KEY, LayerTuple, ct_layer, picture_of

if TYPE_CHECKING:
    from training.cohort.phantom import Phantom

SHAPE, SPACING_MM = (203, 210, 210), (1.6, 1.6, 1.6)
"""Grid of the samples (slice, row, column): the full field of view, made in a few seconds."""

SEVERAL = ("lung mass", "pleural effusion", "coronary artery disease", "pacemaker or defib")
"""Findings of the sample with several, and of the demo."""

DEMO_SEED = 1011


def sample_phantom(findings: Sequence[str], seed: int = DEMO_SEED) -> Phantom:
    """Return a phantom with ``findings`` on the samples' grid."""
    from training.cohort.phantom import PhantomGrid, make_phantom

    return make_phantom(seed, PhantomGrid(SHAPE, SPACING_MM), list(findings), threads=2)


def case_of_phantom(phantom: Phantom) -> Case:
    """Return a phantom as a case whose truth is known, with its report."""
    from training.partition.reports.labels import label_report

    report = label_report(phantom.report)
    return Case(phantom.volume, picture_of(phantom.volume), truth=truth_of(phantom), report=report)


def truth_of(phantom: Phantom) -> dict[str, bool]:
    """Return which labels are present."""
    return {label: bool(present) for label, present in phantom.labels.items()}


def _sample(*findings: str) -> list[LayerTuple]:
    phantom = sample_phantom(findings)
    data, meta, kind = ct_layer(phantom.volume)
    meta["metadata"][TRUTH_KEY] = truth_of(phantom)
    return [(data, meta, kind)]


def nodule() -> list[LayerTuple]:
    """Return a chest phantom with a lung nodule."""
    return _sample("lung nodule")


def effusion() -> list[LayerTuple]:
    """Return a chest phantom with a pleural effusion."""
    return _sample("pleural effusion")


def pacemaker() -> list[LayerTuple]:
    """Return a chest phantom with a pacemaker."""
    return _sample("pacemaker or defib")


def several() -> list[LayerTuple]:
    """Return a chest phantom with a mass, an effusion, coronary calcification and a pacemaker."""
    return _sample(*SEVERAL)
