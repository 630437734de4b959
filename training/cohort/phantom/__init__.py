"""Synthetic chest CTs with planted findings, their masks, labels and reports. Not for clinical use."""

from training.cohort.phantom.build import Finding, Phantom, make_phantom
from training.cohort.phantom.cohort import write_cohort
from training.cohort.phantom.findings import PLANTABLE, Wish, draw_findings
from training.cohort.phantom.grid import FULL, SMALL, PhantomGrid

__all__ = [
    "FULL",
    "PLANTABLE",
    "SMALL",
    "Finding",
    "Phantom",
    "PhantomGrid",
    "Wish",
    "draw_findings",
    "make_phantom",
    "write_cohort",
]
