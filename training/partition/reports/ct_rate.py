"""The 18 labels of CT-RATE from findings (``data/ct_rate.toml``), to measure the labeler on public reports."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from training.partition.reports.context import Status
from training.partition.reports.findings import Finding

_LUNG = frozenset({"lung", "right_lung", "left_lung", "airways"})
_ELSEWHERE = frozenset(
    "liver kidney adrenal_gland spleen pancreas thyroid breast rib spine bone gallbladder intestine stomach abdomen "
    "esophagus skin axilla chest_wall mediastinum heart hilum".split()
)


@dataclass(frozen=True)
class Rule:
    """One way for a label to hold; see the head of ``data/ct_rate.toml``."""

    any: frozenset[str]
    at: frozenset[str]
    unless: frozenset[str]
    lung: bool

    def holds(self, finding: Finding) -> bool:
        """Return True if ``finding`` satisfies the rule."""
        if finding.abnormality not in self.any or finding.beside & self.unless:
            return False
        if self.at and not finding.locations & self.at:
            return False
        return not self.lung or bool(finding.locations & _LUNG) or not finding.locations & _ELSEWHERE


@cache
def rules() -> Mapping[str, tuple[Rule, ...]]:
    """Return the rules of each of the 18 labels, in CT-RATE's order."""
    text = files("training.partition.data").joinpath("ct_rate.toml").read_text(encoding="utf-8")
    return {
        label: tuple(
            Rule(frozenset(r["any"]), frozenset(r.get("at", ())), frozenset(r.get("unless", ())), r.get("lung", False))
            for r in table["rules"]
        )
        for label, table in tomllib.loads(text).items()
    }


def ct_rate_labels(findings: Iterable[Finding]) -> dict[str, bool]:
    """Return CT-RATE's 18 labels; uncertain findings count as present."""
    asserted = [f for f in findings if f.status is not Status.ABSENT]
    return {label: any(r.holds(f) for r in own for f in asserted) for label, own in rules().items()}
