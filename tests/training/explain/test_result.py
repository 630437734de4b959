"""The explanation: scores, maps, books, geometry; and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from training.explain import METHODS, ModelInfo
from training.issues import InputError, note


@pytest.fixture
def explanation(explanation_factory):
    return explanation_factory(n_labels=7, n_groups=5)


def test_needs_no_torch():
    code = "import sys, training.explain.result, training.explain.display; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own code


def test_books_balance(explanation):
    total = np.array([explanation.map(i).sum(dtype=np.float64) for i in range(7)]) + explanation.bias
    assert np.allclose(total, explanation.scores, rtol=0, atol=1e-6)
    assert explanation.residual.max() < 1e-7


def test_residual_is_relative_to_all_evidence(explanation):
    off = replace(explanation, scores=explanation.scores + 0.5)
    scale = np.abs(explanation.maps()).sum(axis=(1, 2, 3), dtype=np.float64) + np.abs(explanation.bias)
    assert np.allclose(off.residual, 0.5 / scale, rtol=1e-5)


def test_residual_of_nothing_is_zero_not_nan(explanation):
    blank = replace(explanation, z=explanation.z * 0, bias=explanation.bias * 0, scores=explanation.scores * 0)
    assert np.array_equal(blank.residual, np.zeros(7))


def test_probabilities_are_sigmoids_without_overflow(explanation):
    extreme = replace(explanation, scores=np.array([-800.0, -1, 0, 1, 30, 800, 2]))
    with np.errstate(over="raise"):
        p = extreme.probabilities
    assert p[0] == 0
    assert p[2] == 0.5
    assert p[5] == 1
    assert p[3] == pytest.approx(1 / (1 + np.exp(-1.0)))


def test_slice_scores_and_top_slice(explanation):
    assert explanation.slice_scores.shape == (7, 5)
    assert np.allclose(explanation.slice_scores.mean(axis=1), explanation.scores, rtol=0, atol=1e-12)
    per_slice = explanation.map(3).sum(axis=(1, 2)) * 5 + explanation.bias[3]
    assert np.allclose(per_slice, explanation.slice_scores[3], rtol=0, atol=1e-4)
    assert explanation.top_slice(3) == per_slice.argmax()


@pytest.mark.parametrize("method", METHODS)
def test_one_map_equals_its_row_of_all(explanation, method):
    assert explanation.maps(method).dtype == np.float32
    for i, name in enumerate(explanation.labels):
        assert np.allclose(explanation.map(name, method), explanation.maps(method)[i], rtol=0, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_summary_equals_the_maps_in_any_chunking(explanation, method, monkeypatch):
    maps = explanation.maps(method).astype(np.float64)
    monkeypatch.setattr("training.explain.cam.CHUNK_VALUES", 2 * 5 * 36)
    summary = replace(explanation).summary(method)
    assert np.allclose(summary.total, maps.sum(axis=(1, 2, 3)), rtol=0, atol=1e-6)
    assert np.allclose(summary.absolute, np.abs(maps).sum(axis=(1, 2, 3)), rtol=0, atol=1e-6)
    assert np.allclose(summary.low, maps.min(axis=(1, 2, 3)), rtol=0, atol=1e-7)
    assert np.allclose(summary.high, maps.max(axis=(1, 2, 3)), rtol=0, atol=1e-7)


def test_unsigned_maps_keep_positive_evidence_only(explanation):
    signed = explanation.map(0)
    assert signed.min() < 0
    assert np.array_equal(explanation.map(0, signed=False), np.where(signed > 0, signed, 0))


def test_maps_of_a_head_without_closed_form_are_the_ones_given(explanation):
    given = np.random.default_rng(0).normal(size=(7, 5, 6, 6)).astype(np.float32)
    nonlinear = replace(explanation, gradient_maps=given, computed_slice_scores=np.ones((7, 5)))
    assert np.array_equal(nonlinear.map(4), given[4])
    assert np.array_equal(nonlinear.slice_scores, np.ones((7, 5)))
    assert np.array_equal(nonlinear.map(4, "gradcam"), explanation.map(4, "gradcam"))


def test_labels_by_name_and_number(explanation):
    assert explanation.index(explanation.labels[3]) == explanation.index(3) == 3
    with pytest.raises(KeyError, match="no label called 'hair'"):
        explanation.index("hair")
    with pytest.raises(KeyError, match="none numbered 7"):
        explanation.index(7)


@pytest.mark.parametrize("name", ["z", "weights", "bias", "scores"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number_is_refused(explanation, name, value):
    array = getattr(explanation, name).copy()
    array.flat[0] = value
    with pytest.raises(InputError, match=f"not numbers .* in {name}"):
        replace(explanation, **{name: array})


@pytest.mark.parametrize("name", ["z", "weights", "bias", "scores"])
def test_shapes_that_do_not_agree_are_refused(explanation, name):
    with pytest.raises(ValueError, match=f"{name} has shape"):
        replace(explanation, **{name: getattr(explanation, name)[1:]})


def test_no_such_method(explanation):
    with pytest.raises(ValueError, match="hirescam, gradcam"):
        explanation.map(0, "cam")
    with pytest.raises(ValueError, match="hirescam, gradcam"):
        explanation.geometry("cam")


def test_model_info_goes_through_json(explanation):
    text = json.dumps(explanation.model.to_dict())
    assert ModelInfo.from_dict(json.loads(text) | {"later": 1}) == explanation.model


def test_slices_of_the_ct_and_groups(explanation_factory):
    e = explanation_factory(n_groups=27)
    assert [e.image_slice(g) for g in (0, 1, 26)] == [0, 1, 26]  # CT slices of 2.4 mm, groups of 3 x 0.8 mm
    assert e.group_at(5) == pytest.approx(5 - 1 / 3)  # group 5 is centred on model slice 16, the CT slice on 15
    assert e.image_slice(200) == e.image_geometry.shape[0] - 1


def test_annotating_keeps_what_was_computed(explanation):
    summary = explanation.summary()
    annotated = explanation.with_issues(note("a", "b")).with_cost({"trunk": 2.0}, 5)
    assert annotated.issues[-1].code == "a"
    assert (annotated.seconds, annotated.peak_rss_bytes) == ({"trunk": 2.0}, 5)
    assert annotated.summary() is summary
    assert explanation.issues == ()


def test_slice_scores_without_closed_form_follow_the_maps(explanation):
    given = np.random.default_rng(0).normal(size=(7, 5, 6, 6)).astype(np.float32)
    nonlinear = replace(explanation, gradient_maps=given)
    assert np.allclose(
        nonlinear.slice_scores.mean(axis=1), given.sum(axis=(1, 2, 3)) + explanation.bias, rtol=0, atol=1e-5
    )
