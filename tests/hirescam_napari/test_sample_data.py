from __future__ import annotations

import numpy as np
import pytest

import hirescam_napari._sample_data as samples
from hirescam_napari._adopt import case_of_layer
from hirescam_napari._layers import TRUTH_KEY


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SHAPE", (40, 48, 48))
    monkeypatch.setattr(samples, "SPACING_MM", (8.0, 7.0, 7.0))


@pytest.mark.parametrize(
    ("sample", "label"),
    [("nodule", "lung nodule"), ("effusion", "pleural effusion"), ("pacemaker", "pacemaker or defib")],
)
def test_a_sample_is_a_ct_with_its_finding(sample: str, label: str) -> None:
    ((hu, meta, kind),) = getattr(samples, sample)()
    assert (kind, hu.dtype, hu.shape) == ("image", np.int16, (40, 48, 48))
    assert meta["metadata"][TRUTH_KEY][label]


def test_the_sample_with_several_findings_is_the_demo() -> None:
    phantom = samples.sample_phantom(samples.SEVERAL)
    case = samples.case_of_phantom(phantom)
    assert {label for label, present in case.truth.items() if present} >= set(samples.SEVERAL)


def test_a_sample_layer_is_taken_over_with_its_truth() -> None:
    from napari.layers import Image

    ((hu, meta, _),) = samples.nodule()
    case = case_of_layer(Image(hu, **meta))
    assert case.truth["lung nodule"]
    assert case.volume is not None
    assert case.volume.hu is hu
