"""What the paper found, each as one paired difference, and whether an evaluation shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from training.evaluate.reproduce.plan import BASE, MASK

IOU = "OrganIoU of HiResCAM (paper, receptive_field)"
AUROC, MEDIAN = "AUROC", "median over labels"


@dataclass(frozen=True)
class Claim:
    """One finding: ``first`` minus ``second`` of ``measure`` over ``group``, in the evaluation of ``entry``.

    ``sign`` is +1 if the paper found ``first`` to be larger, -1 if smaller.
    """

    words: str
    entry: str
    first: str
    second: str
    measure: str
    group: str
    sign: int


def _better_than_base(entry: str, words: str) -> tuple[Claim, ...]:
    """Return the claims that AxialNet classifies and localises better than an ablation."""
    return (
        Claim(f"{words}: lower AUROC than AxialNet", entry, entry, BASE, AUROC, MEDIAN, -1),
        Claim(f"{words}: lower OrganIoU than AxialNet", entry, entry, BASE, IOU, "all", -1),
    )


CLAIMS: tuple[Claim, ...] = (
    Claim("the mask loss raises OrganIoU", MASK, MASK, BASE, IOU, "all", 1),
    Claim(
        "HiResCAM has a higher OrganIoU than Grad-CAM, without mask loss",
        BASE,
        f"{BASE}: HiResCAM",
        f"{BASE}: Grad-CAM",
        "OrganIoU (paper, receptive_field)",
        "all",
        1,
    ),
    Claim(
        "HiResCAM has a higher OrganIoU than Grad-CAM, with mask loss",
        MASK,
        f"{MASK}: HiResCAM",
        f"{MASK}: Grad-CAM",
        "OrganIoU (paper, receptive_field)",
        "all",
        1,
    ),
    *_better_than_base("bodycam", "BodyCAM"),
    *_better_than_base("maxpool", "MaxPool instead of the mean"),
    *_better_than_base("randinit", "no pretrained trunk"),
    *_better_than_base("nocustomconv", "no custom convolution"),
)


def verdict(claim: Claim, results: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Return the difference with its interval, in per cent points, and what it shows of the claim."""
    row = find(
        results[claim.entry].get("comparisons", ()),
        first=claim.first,
        second=claim.second,
        measure=claim.measure,
        group=claim.group,
    )
    if row is None or row["difference"] is None or row["low"] is None:
        return "n/a", "say nothing"
    low, high = sorted(claim.sign * row[end] for end in ("low", "high"))
    shown = "show it" if low > 0 else "show the opposite" if high < 0 else "do not show it"
    return points(row), shown


def points(row: Mapping[str, Any]) -> str:
    """Return a row's difference with its interval, in per cent points."""
    return f"{100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"


def find(rows: Iterable[Mapping[str, Any]], **wanted: str) -> Mapping[str, Any] | None:
    """Return the first row with these values; None if there is none."""
    return next((row for row in rows if all(row.get(key) == value for key, value in wanted.items())), None)


def percent(row: Mapping[str, Any] | None) -> str:
    """Return a row's value in per cent, with its interval."""
    if row is None or row["value"] is None:
        return "n/a"
    ends = f" ({100 * row['low']:.1f} to {100 * row['high']:.1f})" if row["low"] is not None else ""
    return f"{100 * row['value']:.1f}{ends}"
