"""Cases and models for the viewer's tests: small, synthetic, no network unless a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytestqt.qtbot
import torchvision  # noqa: F401 - before any window: once OpenGL has loaded Mesa's LLVM, importing Triton's crashes

from hirescam_napari._case import Case
from hirescam_napari._engine import Engine
from hirescam_napari._layers import picture_of
from training.explain.result import Explanation
from training.geometry import Geometry
from training.volume import Provenance, Volume

PATIENCE_MS = 60_000
"""How long a window is waited for unless a test says so: pytest-qt's 5 s are too short on a machine at its limit."""


@pytest.fixture
def qtbot(qtbot: pytestqt.qtbot.QtBot, monkeypatch: pytest.MonkeyPatch) -> pytestqt.qtbot.QtBot:
    for name in ("waitSignal", "waitSignals", "waitUntil"):
        monkeypatch.setattr(qtbot, name, partial(getattr(qtbot, name), timeout=PATIENCE_MS))
    return qtbot


def make_volume(geometry: Geometry, seed: int = 0) -> Volume:
    """Noise in HU: a body around two lungs would add nothing here."""
    hu = np.random.default_rng(seed).integers(-1000, 400, geometry.shape).astype(np.int16)
    return Volume(hu, geometry, provenance=Provenance("memory", pixels_sha256=f"hash-{seed}"), case_id="synthetic")


@pytest.fixture
def explanation(explanation_factory: Callable[..., Explanation]) -> Explanation:
    """Ten labels, 9 slice groups of 6 x 6 cells, a CT of 2.4 x 5.25 x 5.25 mm over the model's field of view."""
    made = explanation_factory(n_labels=10, n_groups=9)
    return replace(made, image_geometry=made.input_geometry.resampled((2.4, 5.25, 5.25)))


@pytest.fixture
def volume(explanation: Explanation) -> Volume:
    return make_volume(explanation.image_geometry)


@pytest.fixture
def case(volume: Volume, explanation: Explanation) -> Case:
    return Case(volume, picture_of(volume), explanation)


@pytest.fixture
def ct_case(volume: Volume) -> Case:
    return Case(volume, picture_of(volume))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a narrow axialnet-local with random weights, 24 x 32 x 32 voxels, four labels."""
    from training.models.checkpoint import save_checkpoint
    from training.models.registry import build_model
    from training.preprocess import InputSpec

    labels = ("lung nodule", "pleural effusion", "cardiomegaly", "pacemaker or defib")
    spec = InputSpec(spacing_mm=(6.0, 10.0, 10.0), shape=(24, 32, 32))
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(path, build_model("axialnet-local", labels, spec, width=8, cut_stage=2))
    return path


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One process that runs models, shared by all tests: importing torch takes seconds."""
    shared = Engine()
    yield shared
    shared.stop()
