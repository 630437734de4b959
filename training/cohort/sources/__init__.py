"""Cohorts in any of their layouts, through one dataset: RAD-ChestCT, CT-RATE, a table of your own, phantoms."""

from training.cohort.sources.base import Listing, Record, Source
from training.cohort.sources.ct_rate import CtRate
from training.cohort.sources.dataset import (
    Case,
    CohortDataset,
    RegionInputs,
    by_split,
    checked,
    open_cohort,
    open_folder,
)
from training.cohort.sources.find import KINDS, find_source
from training.cohort.sources.phantoms import PhantomCohort
from training.cohort.sources.rad_chestct import RadChestCT
from training.cohort.sources.table import GenericTable

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
