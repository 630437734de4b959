"""``abnormality*location`` columns in RAD-ChestCT's spelling, from findings; and back to the 80 labels."""

from __future__ import annotations

from collections.abc import Mapping

from training.labels import Label, all_labels
from training.partition.reports.context import Status
from training.partition.reports.findings import Finding
from training.partition.reports.labels import ReportLabels, UncertainPolicy, abnormality_of, allowed_pairs
from training.partition.reports.vocabulary import Vocabulary

OTHER_LOCATION = "other_location"
"""Column part for an abnormality whose clause names no known place."""

_SPECIFIC = frozenset({"lung", "heart"})
_GROUP_PLACES = {
    "lung": (
        "left_upper",
        "left_mid",
        "left_lower",
        "right_upper",
        "right_mid",
        "right_lower",
        "right_lung",
        "left_lung",
    ),
    "heart": ("heart", "mitral_valve", "aortic_valve", "tricuspid_valve", "pulmonary_valve"),
    "great vessel": ("aorta", "svc", "ivc", "pulmonary_artery", "pulmonary_vein"),
    "mediastinum": ("mediastinum", "hilum"),
}


def column_names(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return all column names: 83 abnormalities times 51 locations and "other_location"."""
    places = (*vocabulary.location_keys, OTHER_LOCATION)
    return tuple(f"{a}*{p}" for a in vocabulary.abnormality_keys for p in places)


def columns(labels: ReportLabels, vocabulary: Vocabulary, uncertain: UncertainPolicy = "present") -> frozenset[str]:
    """Return the names of the columns that are 1 for a report; all others are 0.

    Every abnormality goes with every location of its clause, except pairs that cannot exist (a generic abnormality in
    an organ outside its allow-list). A disease of the lungs or the heart by definition implies that place.
    """
    asserted = {Status.PRESENT} | ({Status.UNCERTAIN} if uncertain == "present" else set())
    return frozenset(
        f"{finding.abnormality}*{place}"
        for finding in labels.findings
        if finding.status in asserted and not vocabulary.abnormalities[finding.abnormality].fine
        for place in _places(finding, vocabulary)
    )


def _places(finding: Finding, vocabulary: Vocabulary) -> set[str]:
    system = vocabulary.abnormalities[finding.abnormality].group
    named = {p for p in finding.locations if not vocabulary.locations[p].fine}
    if system in _SPECIFIC:
        named.add(system)
        if system == "lung":
            named |= {f"{side}_lung" for side in ("right", "left") if side in finding.locations}
    else:
        named = {p for p in named if _possible(finding.abnormality, vocabulary.locations[p].group)}
    return named or {OTHER_LOCATION}


def _possible(abnormality: str, group: str) -> bool:
    allowed = allowed_pairs().get(group)
    return allowed is None or abnormality in allowed


def labels_from_columns(values: Mapping[str, int]) -> dict[str, int]:
    """Return the 80 labels from ``abnormality*location`` columns, by the authors' rule.

    A disease of the lungs or heart by definition holds wherever it is marked. A generic abnormality holds for the
    lungs if it is marked in the right or the left one or a lobe ("lung" and "airways" without a side do not count),
    for heart, great vessels and mediastinum if it is marked in one of their places.
    """
    present: dict[str, set[str]] = {}
    for name, value in values.items():
        abnormality, star, place = name.partition("*")
        if star and value:
            present.setdefault(abnormality, set()).add(place)
    return {label.name: int(_holds(label, present.get(abnormality_of(label), set()))) for label in all_labels()}


def _holds(label: Label, places: set[str]) -> bool:
    generic = any(abnormality_of(label) in allowed for allowed in allowed_pairs().values())
    return bool(places & set(_GROUP_PLACES[label.region])) if generic else bool(places)
