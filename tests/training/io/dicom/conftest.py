"""The synthetic series writer as a fixture, and helpers for what reading them gives."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from training.io.dicom import read_dicom
from training.issues import InputError


@pytest.fixture(scope="session")
def ct() -> ModuleType:
    """The module tests/training/io/synthetic.py."""
    path = Path(__file__).parents[1] / "synthetic.py"
    spec = importlib.util.spec_from_file_location("synthetic_dicom", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIRESCAM_SALT", "salt for tests")


@pytest.fixture(scope="session")
def refusal() -> Callable[..., InputError]:
    """Return a function that reads, expects a refusal with ``code`` and gives the error."""

    def read(path: Path, code: str, **options: object) -> InputError:
        with pytest.raises(InputError) as caught:
            read_dicom(path, **options)
        assert code in [issue.code for issue in caught.value.issues], str(caught.value)
        assert all(issue.way_out for issue in caught.value.issues if issue.severity == "error")
        return caught.value

    return read


@pytest.fixture(scope="session")
def codes() -> Callable[[object], set[str]]:
    """Return a function that gives the issue codes of a volume or an error."""
    return lambda subject: {issue.code for issue in subject.issues}
