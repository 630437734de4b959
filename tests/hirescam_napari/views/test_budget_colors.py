"""Colours of the score budget are not taken for those of organs on the canvas."""

from __future__ import annotations

from colorsys import rgb_to_hsv
from itertools import combinations, product

import pytest

from hirescam_napari._organ_layers import ORGAN_COLORS, REGION_COLOR
from hirescam_napari.views.budget import COLORS

GRAY = 0.2
"""Saturation below which a colour has no hue to confuse."""


def hue_and_saturation(color: str) -> tuple[float, float]:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, saturation, _ = rgb_to_hsv(red, green, blue)
    return 360 * hue, saturation


def hues_apart(first: str, second: str) -> float:
    apart = abs(hue_and_saturation(first)[0] - hue_and_saturation(second)[0])
    return min(apart, 360 - apart)


@pytest.mark.parametrize(("part", "organ"), [*product(COLORS, ORGAN_COLORS.values())])
def test_no_part_has_an_organs_colour(part: str, organ: str) -> None:
    assert hue_and_saturation(part)[1] < GRAY or hues_apart(part, organ) >= 35


def test_the_allowed_organ_is_green_as_its_region() -> None:
    assert hues_apart(COLORS[1], REGION_COLOR) < 15


@pytest.mark.parametrize(("first", "second"), [*combinations(COLORS, 2)])
def test_parts_are_told_apart(first: str, second: str) -> None:
    squares = ((int(first[i : i + 2], 16) - int(second[i : i + 2], 16)) ** 2 for i in (1, 3, 5))
    assert sum(squares) ** 0.5 >= 70
