"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test data; tests that need it skip where it is missing."""
    folder = Path(os.environ.get("HIRESCAM_SHARED", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"real test data not found at {folder.name!r}; set HIRESCAM_SHARED to its folder")
    return folder
