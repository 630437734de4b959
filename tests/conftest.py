"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from training.explain.result import Explanation

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test data; tests that need it skip where it is missing."""
    folder = Path(os.environ.get("HIRESCAM_SHARED", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"real test data not found at {folder.name!r}; set HIRESCAM_SHARED to its folder")
    return folder


@pytest.fixture(scope="session")
def explanation_factory() -> Callable[..., Explanation]:
    """Makes synthetic explanations; arguments as ``make_explanation`` in tests/explanations.py."""
    spec = importlib.util.spec_from_file_location("tests_explanations", ROOT / "tests" / "explanations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    factory: Callable[..., Explanation] = module.make_explanation
    return factory
