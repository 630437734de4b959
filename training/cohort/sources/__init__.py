"""Cohorts in any of their layouts, through one dataset: RAD-ChestCT, CT-RATE, a table of your own, phantoms.

Only the dataset needs torch; it is imported when one of its names is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from training.cohort.sources.base import Listing, Record, Source
from training.cohort.sources.ct_rate import CtRate
from training.cohort.sources.find import KINDS, find_source
from training.cohort.sources.phantoms import PhantomCohort
from training.cohort.sources.rad_chestct import RadChestCT
from training.cohort.sources.table import GenericTable

if TYPE_CHECKING:
    from training.cohort.sources.dataset import (
        Case,
        CohortDataset,
        RegionInputs,
        by_split,
        checked,
        open_cohort,
        open_folder,
    )

__all__ = [
    "KINDS",
    "Case",
    "CohortDataset",
    "CtRate",
    "GenericTable",
    "Listing",
    "PhantomCohort",
    "RadChestCT",
    "Record",
    "RegionInputs",
    "Source",
    "by_split",
    "checked",
    "find_source",
    "open_cohort",
    "open_folder",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("training.cohort.sources.dataset"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
