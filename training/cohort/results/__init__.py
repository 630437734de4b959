"""The cohort store: every case of a cohort explained, in one zarr 3 store; made by ``hirescam batch``."""

from training.cohort.results.files import find_store
from training.cohort.results.sources import CaseSource
from training.cohort.results.store import CohortStore, open_store

__all__ = ["CaseSource", "CohortStore", "find_store", "open_store"]
