from __future__ import annotations

from pathlib import Path

import pytest

from tests.stores import make_store
from training.cohort.results import CohortStore, open_store


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("cohort") / "store", n_cases=12, n_labels=6)


@pytest.fixture
def store(store_folder: Path) -> CohortStore:
    return open_store(store_folder)
