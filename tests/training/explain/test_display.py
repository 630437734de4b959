"""Display policies: limits, words, and what they do with empty and broken maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.explain import display
from training.explain.display import Absolute, PaperReluMax, PerLabel, SharedOverLabels, SharedOverTwoModels
from training.issues import InputError


@pytest.fixture
def explanation(explanation_factory):
    return explanation_factory(n_labels=5, n_groups=4, cells=(3, 3))


def scaled(explanation, factor):
    """The same explanation with weights times ``factor`` (scores adapted by the map's linearity)."""
    scores = (explanation.scores - explanation.bias) * factor + explanation.bias
    return replace(explanation, weights=explanation.weights * factor, scores=scores)


def one_sign(explanation, sign):
    """Only evidence of one sign: Z is non-negative, so the sign of the weights decides."""
    weights = sign * np.abs(explanation.weights)
    return replace(explanation, weights=weights, scores=explanation.scores * 0)


@pytest.mark.parametrize("method", ["hirescam", "gradcam"])
def test_per_label_ends_at_the_maps_own_maximum(explanation, method):
    label = int(explanation.summary(method).high.argmax())
    shown = PerLabel().show(explanation, label, method)
    assert shown.limits == (0.0, pytest.approx(explanation.map(label, method).max()))
    assert shown.colormap == "sequential"
    assert np.array_equal(shown.values, explanation.map(label, method))


def test_signed_is_symmetric_about_zero(explanation):
    shown = PerLabel(signed=True).show(explanation, 2)
    reach = np.abs(explanation.map(2)).max()
    assert shown.limits == (pytest.approx(-reach), pytest.approx(reach))
    assert shown.colormap == "diverging"
    assert "for (+) and against (-)" in shown.words


def test_shared_over_labels_is_the_same_for_every_label(explanation):
    limits = {SharedOverLabels().show(explanation, label).limits for label in explanation.labels}
    assert len(limits) == 1
    assert limits.pop() == (0.0, pytest.approx(max(explanation.map(i).max() for i in range(5))))


def test_shared_over_labels_signed(explanation):
    reach = max(np.abs(explanation.map(i)).max() for i in range(5))
    assert SharedOverLabels(signed=True).show(explanation, 0).limits[1] == pytest.approx(reach)


def test_shared_over_two_models_is_the_same_in_both(explanation):
    other = scaled(explanation, 3.0)
    first = SharedOverTwoModels(other=other).show(explanation, 1)
    second = SharedOverTwoModels(other=explanation).show(other, 1)
    assert first.limits == second.limits == (0.0, pytest.approx(other.map(1).max()))


def test_shared_over_two_models_goes_by_label_name(explanation, explanation_factory):
    fewer = explanation_factory(n_labels=2, n_groups=4, cells=(3, 3))
    with pytest.raises(KeyError, match="no label called"):
        SharedOverTwoModels(other=fewer).show(explanation, 4)


def test_absolute_is_fixed(explanation):
    assert Absolute(limit=0.5).show(explanation, 0).limits == (0.0, 0.5)
    assert Absolute(limit=0.5, signed=True).show(explanation, 0).limits == (-0.5, 0.5)
    assert "fixed limit = 0.5 score units" in Absolute(limit=0.5).show(explanation, 0).words


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_absolute_refuses_a_limit_that_is_none(limit):
    with pytest.raises(ValueError, match="above 0"):
        Absolute(limit=limit)


def test_paper_scaling_is_relu_then_maximum(explanation):
    shown = PaperReluMax().show(explanation, 3)
    positive = np.maximum(explanation.map(3), 0)
    expected = (positive - positive.min()) / (positive - positive.min()).max()
    assert np.allclose(shown.values, expected, rtol=0, atol=1e-6)
    assert (shown.values.min(), shown.values.max()) == (0.0, 1.0)
    assert shown.limits == (0.0, 1.0)


def test_paper_scaling_subtracts_the_minimum():
    values = np.array([[[2.0, 4.0, 6.0]]], dtype=np.float32)
    assert np.array_equal(display.relu_max(values), [[[0.0, 0.5, 1.0]]])


@pytest.mark.parametrize("fill", [0.0, 3.0, -2.0])
def test_paper_scaling_leaves_out_the_division_where_the_maximum_is_zero(fill):
    values = np.full((2, 2, 2), fill, dtype=np.float32)
    assert np.array_equal(display.relu_max(values), np.zeros((2, 2, 2)))


@pytest.mark.parametrize("policy", [PerLabel(), SharedOverLabels(), PaperReluMax()])
@pytest.mark.parametrize("sign", [0, -1])
def test_maps_without_positive_evidence_show_nothing_and_say_so(explanation, policy, sign):
    shown = policy.show(one_sign(explanation, sign), 0)
    assert shown.limits == (0.0, 1.0)
    assert shown.values.max() <= 0
    assert "nothing to show" in shown.words


def test_all_negative_map_still_shows_when_signed(explanation):
    shown = PerLabel(signed=True).show(one_sign(explanation, -1), 0)
    assert shown.limits[1] == pytest.approx(-shown.values.min())


def test_limits_are_always_ordered(explanation):
    for reach in (0.0, 1e-45, 1e-20, 5.0):
        for low, high in (display.positive_limits(reach), display.symmetric_limits(reach)):
            assert np.float32(low) < np.float32(high)


def test_not_a_number_is_refused():
    with pytest.raises(InputError, match="not numbers"):
        display.positive_limits(float("nan"))
    with pytest.raises(InputError, match="not numbers"):
        display.relu_max(np.array([[[np.nan, 1.0]]], dtype=np.float32))


def test_words_say_the_method_and_the_unit(explanation, explanation_factory):
    top = f"{explanation.map(0).max():.3g}"
    assert PerLabel().show(explanation, 0).words == (
        f"HiResCAM, positive evidence, this label's own maximum = {top} score units"
    )
    reach = f"{np.abs(explanation.map(0)).max():.3g}"
    assert PerLabel(signed=True).show(explanation, 0).words == (
        "HiResCAM, evidence for (+) and against (-), this label's own largest magnitude, for or against = "
        f"{reach} score units"
    )
    assert "do not add up" in PerLabel().show(explanation, 0, "gradcam").words
    unsure = explanation_factory(n_labels=5, n_groups=4, cells=(3, 3), holds=False)
    assert "gradient x feature units" in PerLabel().show(unsure, 0).words
    assert "paper's scaling" in PaperReluMax().show(explanation, 0).words


@pytest.mark.parametrize("name", ["per_label", "shared_labels", "shared_models", "absolute", "paper"])
def test_policies_by_name(explanation, name):
    policy = display.policy_named(name, limit=1.0, other=explanation)
    assert policy.name == name
    assert policy.show(explanation, 0).values.shape == (4, 3, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [("absolute", "needs a limit"), ("shared_models", "needs the explanation"), ("min-max", "there are")],
)
def test_policies_by_name_say_what_is_missing(name, message):
    with pytest.raises(ValueError, match=message):
        display.policy_named(name)
