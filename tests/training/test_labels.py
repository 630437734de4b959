"""Names of abnormalities, as users write them and as a model spells them."""

from __future__ import annotations

import pytest

from training.issues import InputError
from training.labels import chosen_labels, find_label, label_names


def test_any_spelling_finds_the_models_own() -> None:
    name = label_names()[0]
    assert chosen_labels([name, find_label(name).display], label_names()) == [name, name]
    assert chosen_labels(["my own label"], ("my own label",)) == ["my own label"]


def test_what_a_model_lacks_is_named_with_the_way_to_the_list() -> None:
    with pytest.raises(InputError) as refused:
        chosen_labels(["pleural efusion", "moon", "mass"], ("mass",))
    assert [issue.code for issue in refused.value.issues] == ["no-such-label"] * 2
    assert "'moon'" in str(refused.value)
    assert all("models --labels" in issue.way_out for issue in refused.value.issues)


@pytest.mark.parametrize("typed", ["groundglass", "Ground-Glass Opacity", "GROUNDGLASS", "ground_glass opacity"])
def test_either_name_means_the_label_in_any_case(typed: str) -> None:
    assert chosen_labels([typed], label_names()) == ["groundglass"]
    assert chosen_labels([typed], ("Ground Glass Opacity",)) == ["Ground Glass Opacity"]  # a model's own spelling


@pytest.mark.parametrize(("typed", "meant"), [("pleural efusion", "pleural effusion"), ("grond glass", "ground-glass")])
def test_a_wrong_one_suggests_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(InputError) as refused:
        chosen_labels([typed], label_names())
    assert f"Did you mean '{meant}" in str(refused.value)
