"""The findings that can be planted: one module per idea."""

from __future__ import annotations

from collections.abc import Mapping

from training.cohort.phantom.findings import airless, airspace, cardiac, devices, mediastinal, nodules, pleura, texture
from training.cohort.phantom.findings.base import Idea, Plan, Planned, Wish
from training.cohort.phantom.streams import stream
from training.labels import find_label, label_names

IDEAS: tuple[Idea, ...] = (
    *pleura.IDEAS,
    *texture.IDEAS,
    *airspace.IDEAS,
    *airless.IDEAS,
    *nodules.IDEAS,
    *mediastinal.IDEAS,
    *cardiac.IDEAS,
    *devices.IDEAS,
)
"""All kinds of findings, in the order they are planned."""

PLANTABLE: tuple[str, ...] = tuple(name for name in label_names() if any(name in idea.labels for idea in IDEAS))
"""The labels (paper names) that can be planted."""


def draw_findings(seed: int) -> dict[str, Wish]:
    """Draw the ideas of a random phantom: independent of each other, but a phantom has one nodule, small or large.

    Returns
    -------
    dict
        Idea name to an empty wish.
    """
    rng = stream(seed, "findings")
    chosen = {idea.name: Wish() for idea in IDEAS if rng.random() < idea.prevalence}
    if "large nodule" in chosen:
        chosen.pop("small nodule", None)
    return chosen


def asked_findings(labels: Mapping[str, Wish]) -> dict[str, Wish]:
    """Return the ideas that plant ``labels``: of those with a label, the one with fewest others.

    Raises
    ------
    ValueError
        If a label is not plantable.
    """
    wanted = {find_label(name).name: wish for name, wish in labels.items()}
    strange = sorted(set(wanted) - set(PLANTABLE))
    if strange:
        raise ValueError(f"cannot plant {', '.join(strange)}; plantable are: {', '.join(PLANTABLE)}")
    if "lung nodulegr1cm" in wanted:
        wanted.pop("lung nodule", None)
    chosen: dict[str, Wish] = {}
    for name, wish in wanted.items():
        idea = min((i for i in IDEAS if name in i.labels), key=lambda i: len(i.labels))
        chosen[idea.name] = wish
    return {idea.name: chosen[idea.name] for idea in IDEAS if idea.name in chosen}


__all__ = ["IDEAS", "PLANTABLE", "Idea", "Plan", "Planned", "Wish", "asked_findings", "draw_findings"]
