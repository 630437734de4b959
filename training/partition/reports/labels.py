"""A report's 80 labels with sides, from its findings.

Two variants (Table 4, section 12.1, and what the authors' code did):

``default``
    A label keeps the side its sentence names; a lung abnormality without a side counts, with side unknown.
``authors``
    Lung-specific diseases lose their side (both lungs are marked); a generic abnormality counts for the lungs only
    where the sentence names the right or the left one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from training.labels import Label, all_labels, find_label
from training.partition.reports.context import Status
from training.partition.reports.findings import Finding, findings_of, names_no_place
from training.partition.reports.sizes import long_axis, short_axis
from training.partition.reports.tokens import split_report
from training.partition.reports.vocabulary import Vocabulary, load_vocabulary

Side = Literal["right", "left"]
Variant = Literal["default", "authors"]
UncertainPolicy = Literal["present", "absent"]

LYMPH_NODE_MM = 10.0
"""Short axis from which a lymph node is lymphadenopathy, mm."""
NODULE_GR1CM_MM = 10.0
"""A nodule larger than this carries the label "nodule > 1 cm", mm."""

_PLACES: dict[str, frozenset[str]] = {
    "lung": frozenset({"lung", "right_lung", "left_lung"}),
    "heart": frozenset({"heart"}),
    "great vessel": frozenset({"aorta", "svc", "ivc", "pulmonary_artery", "pulmonary_vein", "artery"}),
    "mediastinum": frozenset({"mediastinum", "hilum"}),
}
_ORDER = {Status.PRESENT: 2, Status.UNCERTAIN: 1, Status.ABSENT: 0}


@dataclass(frozen=True)
class LabelEvidence:
    """What a report says of one label.

    ``sides`` holds the sides that asserted findings name; empty means unknown or not of the lungs. ``findings`` are the
    mentions, denied ones included, so that a reviewer sees why.
    """

    status: Status
    sides: frozenset[Side]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class ReportLabels:
    """The labels of one report: every mentioned label with its evidence; labels not mentioned are left out.

    ``unplaced`` are mentions that no label counts, as the report names no place (the variant ``authors``: no side) with
    them, though a label of their abnormality exists; ``reason`` says so. ``n_cut`` counts how often a sentence was cut
    because it was too long to be one.
    """

    text: str
    findings: tuple[Finding, ...]
    evidence: Mapping[str, LabelEvidence]
    variant: Variant = "default"
    n_cut: int = 0
    unplaced: tuple[Finding, ...] = ()

    def status(self, label: str) -> Status | None:
        """Return what the report says of ``label``, None if it does not mention it."""
        found = self.evidence.get(label)
        return found.status if found else None

    def values(self, uncertain: UncertainPolicy = "present") -> dict[str, int]:
        """Return 0 or 1 for each of the 80 labels; CT practice counts uncertain as present."""
        positive = {Status.PRESENT} | ({Status.UNCERTAIN} if uncertain == "present" else set())
        return {label.name: int(self.status(label.name) in positive) for label in all_labels()}

    def sides(self, label: str) -> frozenset[Side]:
        """Return the sides named for ``label``."""
        found = self.evidence.get(label)
        return found.sides if found else frozenset()

    def lost(self) -> frozenset[str]:
        """Return the abnormalities that are asserted (or doubted) without a place only: no label holds them."""
        held = {abnormality_of(find_label(n)) for n, e in self.evidence.items() if e.status is not Status.ABSENT}
        return frozenset(f.abnormality for f in self.unplaced if f.status is not Status.ABSENT) - held

    def sentences(self, label: str) -> tuple[str, ...]:
        """Return the sentences that speak of ``label``."""
        found = self.evidence.get(label)
        spans = dict.fromkeys(f.sentence for f in found.findings) if found else {}
        return tuple(self.text[a:b] for a, b in spans)


@cache
def _rule_tables() -> tuple[dict[str, frozenset[str]], dict[str, str]]:
    text = files("training.partition.data").joinpath("label_rules.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return {k: frozenset(v) for k, v in data["allowed"].items()}, data["abnormality"]


@cache
def abnormality_of(label: Label) -> str:
    """Return the abnormality key (RAD-ChestCT's spelling) that ``label`` is made of."""
    named = _rule_tables()[1]
    if label.name in named:
        return named[label.name]
    words = label.name.lower().replace("-", " ")
    prefix = f"{label.region} "
    if words.startswith(prefix) and words not in {"heart failure", "heart valve replacement", "lung resection"}:
        words = words[len(prefix) :]
    return words.replace(" ", "_")


def allowed_pairs() -> dict[str, frozenset[str]]:
    """Return, for lung, heart, great_vessel and mediastinum, the generic abnormalities that can lie there."""
    return _rule_tables()[0]


def label_report(
    text: str,
    *,
    variant: Variant = "default",
    vocabulary: Vocabulary | None = None,
    extra_vocabulary: tuple[Path, ...] = (),
    lymph_node_mm: float = LYMPH_NODE_MM,
) -> ReportLabels:
    """Return the labels of one chest-CT report (English free text).

    Parameters
    ----------
    text
        The report; findings and impression together.
    variant
        ``default`` or ``authors``, see the module's head.
    vocabulary, extra_vocabulary
        A loaded vocabulary, or TOML files that extend the shipped one.
    lymph_node_mm
        Short axis from which a lymph node counts as lymphadenopathy.
    """
    words = vocabulary or load_vocabulary(extra_vocabulary)
    sentences = split_report(text)
    findings = with_sizes(findings_of(sentences, words), lymph_node_mm)
    systems = {k: t.group for k, t in words.abnormalities.items()}
    evidence = {}
    for label in all_labels():
        mentions = tuple(f for f in findings if _speaks_of(f, label, systems, variant))
        if mentions:
            evidence[label.name] = _weigh(mentions, label, variant)
    n_cut = sum(one.is_cut for one in sentences)
    return ReportLabels(text, findings, evidence, variant, n_cut, _unplaced(findings, evidence))


def _unplaced(findings: Sequence[Finding], evidence: Mapping[str, LabelEvidence]) -> tuple[Finding, ...]:
    """Return the findings that would count for a label, had the report named a place (or a side) with them."""
    labelled = {abnormality_of(label) for label in all_labels()}
    counted = {id(finding) for found in evidence.values() for finding in found.findings}
    left = [f for f in findings if f.abnormality in labelled and id(f) not in counted]
    told = [(f, _what_is_missing(f)) for f in left]
    return tuple(replace(f, reason="; ".join(filter(None, (f.reason, words)))) for f, words in told if words)


def _what_is_missing(finding: Finding) -> str:
    """Return what keeps a finding from every label, nothing if it lies where no label of it does."""
    if names_no_place(finding):
        return "no place named"
    in_lung = bool(finding.locations & _PLACES["lung"]) and finding.abnormality in allowed_pairs()["lung"]
    return "no side of the lungs named" if in_lung else ""


def with_sizes(findings: tuple[Finding, ...], lymph_node_mm: float = LYMPH_NODE_MM) -> tuple[Finding, ...]:
    """Add the findings that a size decides: nodule > 1 cm, and lymphadenopathy by short axis.

    "Lymphadenopathy" and "enlarged node" need no size; where they are doubted, a short axis that is told decides.

    What the size decides against is added as absent, so that a reviewer sees that it was looked at.
    """
    called: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for finding in findings:
        if finding.abnormality == "lymphadenopathy":
            called.setdefault(finding.sentence, []).append(finding.span)
    added: list[Finding] = []
    for finding in findings:
        added.append(_doubted_node(finding, lymph_node_mm))
        if finding.abnormality == "nodule" and finding.sizes_mm:
            added.append(_large_nodule(finding))
        if finding.abnormality == "lymph_node":
            node = _enlarged_node(finding, lymph_node_mm)
            if node.status is not Status.ABSENT or not _overlaps(finding, called.get(finding.sentence, ())):
                added.append(node)
    return tuple(added)


def _large_nodule(nodule: Finding) -> Finding:
    largest = max(nodule.lengths, key=lambda length: length.mm)
    is_large = largest.mm > NODULE_GR1CM_MM
    verb = ("may be" if largest.below else "is") if is_large else "is not"
    return _decided(nodule, "nodulegr1cm", is_large, f"{largest} {verb} more than {NODULE_GR1CM_MM:g} mm")


def _enlarged_node(node: Finding, least_mm: float) -> Finding:
    short, long = short_axis(node.lengths), long_axis(node.lengths)
    if short is None:
        words = "no size told" if long is None else f"long axis {long}, no short axis told"
        return _decided(node, "lymphadenopathy", False, words)
    is_large = short.reaches(least_mm)
    verb = ("may be at least" if short.below else "is at least") if is_large else "is less than"
    return _decided(node, "lymphadenopathy", is_large, f"short axis {short} {verb} {least_mm:g} mm")


def _doubted_node(finding: Finding, least_mm: float) -> Finding:
    """Return a doubted lymphadenopathy as its short axis decides, if one is told; any other finding as it is."""
    doubted = finding.abnormality == "lymphadenopathy" and finding.status is Status.UNCERTAIN
    return _enlarged_node(finding, least_mm) if doubted and short_axis(finding.lengths) else finding


def _overlaps(node: Finding, spans: Sequence[tuple[int, int]]) -> bool:
    """Return True if the same words are lymphadenopathy by themselves: "adenopathy", "enlarged lymph nodes"."""
    return any(start < node.span[1] and node.span[0] < stop for start, stop in spans)


def _decided(finding: Finding, key: str, holds: bool, words: str) -> Finding:
    """Return what follows from a finding: asserted as it is if a size says so, else absent."""
    if finding.status is Status.ABSENT:
        return replace(finding, abnormality=key)
    return replace(finding, abnormality=key, status=finding.status if holds else Status.ABSENT, reason=words)


def _speaks_of(finding: Finding, label: Label, systems: Mapping[str, str], variant: Variant) -> bool:
    if finding.abnormality != abnormality_of(label):
        return False
    if systems.get(finding.abnormality) in {"lung", "heart"}:
        return True
    if label.name == "chest tube" or (label.name == "consolidation" and not finding.locations):
        return True
    if label.region == "lung" and variant == "authors":
        return bool(finding.locations & {"right_lung", "left_lung"}) and not finding.inherited
    if label.region == "lung" and "groundglass" in finding.beside and names_no_place(finding):
        return finding.abnormality == "opacity"
    return bool(finding.locations & _PLACES[label.region])


def _weigh(mentions: tuple[Finding, ...], label: Label, variant: Variant) -> LabelEvidence:
    status = max((f.status for f in mentions), key=_ORDER.__getitem__)
    asserted = [f for f in mentions if f.status is not Status.ABSENT]
    sides = frozenset(side for finding in asserted for side in sides_of(finding, label, variant))
    return LabelEvidence(status, sides, mentions)


def sides_of(finding: Finding, label: Label, variant: Variant = "default") -> frozenset[Side]:
    """Return the lungs that one mention of ``label`` names, denied or not; none for a label that is not of the lungs.

    The variant ``authors`` gives an asserted disease that lies in the lungs by definition both.
    """
    if label.region != "lung":
        return frozenset()
    specific = abnormality_of(label) not in allowed_pairs()["lung"]
    if variant == "authors" and specific and finding.status is not Status.ABSENT:
        return frozenset({"right", "left"})
    named = {"right": {"right_lung", "right"}, "left": {"left_lung", "left"}}
    return frozenset(side for side in ("right", "left") if finding.locations & named[side])
