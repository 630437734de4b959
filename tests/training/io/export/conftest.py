"""DICOM series in every orientation, with an explanation and organs that lie where they do."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from training.explain.result import Explanation
from training.geometry import Geometry
from training.io import read_ct
from training.partition.organs import Organs, QualityControl
from training.volume import Volume

TURN = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
TILT = np.array([[1.0, 0.0, 0.0], [0.0, 0.8, -0.6], [0.0, 0.6, 0.8]])
ORIENTATIONS = {
    "axial": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "flipped": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "prone": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    "coronal": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),
    "oblique": tuple(float(v) for v in (TILT @ TURN)[:, :2].T.reshape(-1)),
}


@pytest.fixture(autouse=True)
def salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIRESCAM_SALT", "tests")


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The module tests/training/io/synthetic.py."""
    path = Path(__file__).parents[1] / "synthetic.py"
    spec = importlib.util.spec_from_file_location("synthetic_dicom_for_export", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Scene:
    """One CT on disk with what is to be exported of it."""

    folder: Path
    volume: Volume
    explanation: Explanation
    organs: Organs


def scene_of(folder: Path, explanation: Explanation) -> Scene:
    volume = read_ct(folder)
    shape = explanation.input_geometry.shape
    step = [(n - 1) / (m - 1) for n, m in zip(volume.geometry.shape, shape, strict=True)]
    grid = volume.geometry.subgrid((0, 0, 0), step, shape)
    labels = np.random.default_rng(3).integers(0, 4, volume.geometry.shape).astype(np.uint8)
    placed = replace(explanation, input_geometry=grid, image_geometry=volume.geometry, case_id=volume.case_id)
    return Scene(folder, volume, placed, Organs(labels, volume.geometry, QualityControl(True)))


@pytest.fixture(params=ORIENTATIONS)
def scene(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    synthetic: ModuleType,
    explanation_factory: Callable[..., Explanation],
) -> Scene:
    orientation = ORIENTATIONS[request.param]
    series = synthetic.make_series(orientation=orientation)
    folder = synthetic.save(tmp_path / "ct", reversed(series))
    return scene_of(folder, explanation_factory(n_labels=3, n_groups=4, in_plane=24))


@pytest.fixture
def axial(tmp_path: Path, synthetic: ModuleType, explanation_factory: Callable[..., Explanation]) -> Scene:
    folder = synthetic.save(tmp_path / "axial", synthetic.make_series())
    return scene_of(folder, explanation_factory(n_labels=3, n_groups=4, in_plane=24))


def voxel_at(values: np.ndarray, geometry: Geometry, world_mm: np.ndarray) -> object:
    """Return the value of the voxel that lies at ``world_mm``."""
    index = np.rint(geometry.to_index(world_mm)).astype(int)
    return values[tuple(index)]
