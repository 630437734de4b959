"""Small models and inputs, made once."""

from __future__ import annotations

import numpy as np
import pytest

from training.geometry import Geometry
from training.models import Model, build_model
from training.preprocess import InputSpec, ModelInput

SPEC = InputSpec((2.4, 2.4, 2.4), (30, 96, 80))
LABELS = ("nodule", "mass", "pleural effusion")


@pytest.fixture
def small_model() -> Model:
    return build_model("axialnet-local", LABELS, SPEC, seed=3, width=8)


@pytest.fixture(scope="session")
def small_input() -> ModelInput:
    """Noise with slice groups 0, 4, 8 and 9 all air."""
    hu = np.random.default_rng(0).integers(-1000, 1000, SPEC.shape, dtype=np.int16)
    for group in (0, 4, 8, 9):
        hu[3 * group : 3 * group + 3] = -1000
    return ModelInput(hu, Geometry.canonical(SPEC.shape, SPEC.spacing_mm), SPEC)
