"""What readers of pages and pictures see for the keys that stand in CSV and JSON files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from training.evaluate.classification import METRIC_NAMES

PLACEMENTS: Mapping[str, str] = {
    "receptive_field": "where the cells look",
    "stretch": "stretched",
    "stretch, authors' regions": "stretched, the authors' regions",
}
VARIANTS: Mapping[str, str] = {"paper": "the paper's definition", "authors": "the authors' code"}
MEASURES: Mapping[str, str] = {
    "error_mm": "pointing error, mm",
    "to_centre_mm": "distance to the centre, mm",
    "to_mask_mm": "distance to the edge, mm",
    "hit": "pointing game",
    "cell_hit": "cell on a lesion",
    "mass_inside": "mass inside",
}
_HEADS: Mapping[str, str] = {
    **{str(metric): words for metric, words in METRIC_NAMES.items()},
    "group": "abnormalities",
    "label": "abnormality",
    "n_cases": "cases",
    "n_labels": "labels",
    "n_pairs": "pairs",
    "n_positive": "positives",
    "source": "map",
    "value": "value",
    "variant": "definition",
}
_KEYS = {**MEASURES, "receptive_field": PLACEMENTS["receptive_field"], "stretch": PLACEMENTS["stretch"]}
_KEY = re.compile(rf"\b({'|'.join(sorted(_KEYS, key=len, reverse=True))})\b")


def head_words(name: str) -> str:
    """Return what stands above a column.

    Examples
    --------
    >>> head_words("brier"), head_words("n_pairs"), head_words("share_below_zero")
    ('Brier score', 'pairs', 'share below zero')
    """
    return _HEADS.get(name) or name.removeprefix("n_").replace("_", " ")


def measure_words(name: str) -> str:
    """Return a measure, also one that names its variant and placement, without a machine's spelling.

    Examples
    --------
    >>> measure_words("OrganIoU of Grad-CAM (paper, receptive_field)"), measure_words("hit (stretch)")
    ('OrganIoU of Grad-CAM (paper, where the cells look)', 'pointing game (stretched)')
    """
    return _KEY.sub(lambda found: _KEYS[found[1]], name)


def placed_words(variant: str | None, placement: str | None) -> str:
    """Return by which definition, and where, maps were measured; what is None is left out."""
    told = (VARIANTS.get(variant or "", variant), PLACEMENTS.get(placement or "", placement))
    return ", ".join(words for words in told if words)
