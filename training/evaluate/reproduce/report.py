"""The page of a reproduction: tables in the shape of the paper's, and what the phantoms show of its findings."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training.evaluate.baselines import BASELINES, CENTRE, PRIOR, RANDOM_LAST_LAYER, RANDOM_WEIGHTS, UNIFORM
from training.evaluate.reproduce.claims import CLAIMS, find, percent, points, verdict
from training.evaluate.reproduce.plan import (
    BASE,
    COHORT_SEED,
    LABELS,
    MASK,
    PRETRAINING_LABELS,
    PRETRAINING_SEED,
    Size,
)
from training.evaluate.reproduce.throughput import SPEED_HEAD, speed_cells
from training.fit import TrainConfig
from training.labels import display_name
from training.words import counted, counted_of

Results = Mapping[str, Mapping[str, Any]]
"""By entry: its evaluation as plain JSON types, with facts about the network under ``about``."""

HIRESCAM, GRADCAM = "HiResCAM", "Grad-CAM"
PLACED = "receptive_field"
_POINTING_BASELINES = (UNIFORM, CENTRE, PRIOR, RANDOM_LAST_LAYER, RANDOM_WEIGHTS)
NOT_APPLICABLE = "n/a"

_TABLE_1 = ("bodycam", "maxpool", "randinit", "nocustomconv", BASE, MASK, "axialnet-same", "axialnet-local-3",
            "axialnet-local-2")  # fmt: skip
_TABLE_6 = tuple(
    (words, dilated, MASK if (kind, dilated) == ("nearest", False) else f"mask-{kind}{'-dilated' if dilated else ''}")
    for words, kind in (("area", "area"), ("trilinear or nearest", "nearest"))
    for dilated in (False, True)
)


def page(results: Results, size: Size, command: str, seconds: Mapping[str, float], machine: str) -> str:
    """Return the page as Markdown; entries that are not among ``results`` are left out of the tables."""
    parts = (
        _introduction(results, size, command, seconds, machine),
        _table_1(results),
        _table_2(results),
        _table_6(results),
        _fields(results),
        _claims(results, size),
        _throughput(results, machine),
        _limits(size),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _wrapped(text: str, indent: str = "") -> str:
    """Return a paragraph in lines of at most 120 characters, all but the first indented."""
    return textwrap.fill(" ".join(text.split()), 120, subsequent_indent=indent, break_on_hyphens=False)


def _introduction(results: Results, size: Size, command: str, seconds: Mapping[str, float], machine: str) -> str:
    config = size.pretraining()
    n = next(iter(results.values()))["models"][BASE]["n_cases"]
    minutes = sum(seconds.values()) / 60
    voxels, mm = (" x ".join(f"{v:g}" for v in values) for values in (config.input.shape, config.input.spacing_mm))
    made = f"""made this page, the models and everything that was measured, from seeds alone, in {minutes:.0f} min
        ({machine}). Phantoms are synthetic: nothing here says how good a network is on patients. **Not for clinical
        use.**"""
    facts = (
        f"""Cohort: {size.cases} phantoms from seed {COHORT_SEED}, {voxels} voxels of {mm} mm; of seven in a row five
        train, one chooses the best epoch and the thresholds, one is judged: {n} test cases.""",
        f"Labels: {', '.join(map(display_name, LABELS))}.",
        f"""Networks: width {config.model.width}, {_custom(config)}, {counted(size.epochs, "epoch")}, the same recipe
        and seed for all ({config.run.precision}). The trunk was pretrained on {size.pretraining_cases} other phantoms
        (from seed {PRETRAINING_SEED}) to find and to place {", ".join(map(display_name, PRETRAINING_LABELS))}; it
        plays the part of ImageNet.""",
        f"""Numbers are per cent unless a unit is given, with 95 % intervals over test cases ({size.resamples}
        resamples). OrganIoU is the variant `paper`, cells placed by receptive field, thresholds per label from the
        validation cases. Each network's maps are measured on their own grid, so finer and coarser ones meet different
        regions: compare each with its own baselines first.""",
    )
    listed = "\n".join(_wrapped(f"- {fact}", "  ") for fact in facts)
    return f"# The paper's comparisons on phantoms\n\n    {command}\n\n{_wrapped(made)}\n\n{listed}"


def _table_1(results: Results) -> str:
    head = ("model", "what", "median AUROC", "OrganIoU, Grad-CAM", "OrganIoU, HiResCAM", *_short(BASELINES[:4]))
    rows = [
        (
            name,
            results[name]["about"]["words"],
            percent(find(results[name]["summary"], model=name, metric="AUROC", average="median")),
            *(percent(_iou(results, name, source)) for source in (GRADCAM, HIRESCAM)),
            *(percent(_iou(results, name, source)) for source in BASELINES[:4]),
        )
        for name in _TABLE_1
        if name in results
    ]
    below = [name for name in _TABLE_1 if name in results and _is_below(results, name, HIRESCAM, CENTRE)]
    words = f"""The last columns are the OrganIoU of maps that looked at nothing, or that were never trained. HiResCAM
        stays below the centre prior, which never looked at the CT, for
        {counted_of(len(below), len(rows), "network")}."""
    return f"## Architectures and ablations (the paper's Table 1)\n\n{_wrapped(words)}\n\n{_markdown(head, rows)}"


def _is_below(results: Results, name: str, source: str, other: str) -> bool:
    own, rival = (_value(_iou(results, name, one)) for one in (source, other))
    return own is not None and rival is not None and own < rival


def _table_2(results: Results) -> str:
    if not {BASE, MASK} <= set(results):
        return ""
    head = ("", GRADCAM, HIRESCAM, *_short((UNIFORM, CENTRE)))
    sources = (GRADCAM, HIRESCAM, UNIFORM, CENTRE)
    rows = [(name, *(percent(_iou(results, name, s)) for s in sources)) for name in (BASE, MASK)]
    low, high = (_value(_iou(results, n, s)) for n, s in ((BASE, GRADCAM), (MASK, HIRESCAM)))
    change = f"{100 * (high / low - 1):+.0f} %" if low and high is not None else NOT_APPLICABLE
    words = f"From Grad-CAM without mask loss to HiResCAM with it: {change} (the paper: +37.2 %)."
    sides = {"first": f"{MASK}: {HIRESCAM}", "second": f"{BASE}: {GRADCAM}"}
    row = find(results[MASK].get("comparisons", ()), **sides, measure=f"OrganIoU (paper, {PLACED})", group="all")
    if row is not None and row["difference"] is not None and row["low"] is not None:
        words += f" Paired by test case: {points(row)} points."
    return f"## Mask loss and attention (the paper's Table 2)\n\n{_markdown(head, rows)}\n\n{_wrapped(words)}"


def _table_6(results: Results) -> str:
    rows = [
        (
            kind,
            "yes" if dilated else "no",
            percent(find(results[name]["summary"], model=name, metric="AUROC", average="median")),
            *(percent(_iou(results, name, source)) for source in (HIRESCAM, UNIFORM, CENTRE)),
            f"{results[name]['about']['validation_loss']:.3f}",
        )
        for kind, dilated, name in _TABLE_6
        if name in results
    ]
    if len(rows) < 2:
        return ""
    baselines = _short((UNIFORM, CENTRE))
    head = ("organ masks reduced by", "dilation", "median AUROC", "OrganIoU, HiResCAM", *baselines, "validation loss")
    words = (
        "Trilinear interpolation at the centre of a cell and the voxel nearest to it are one row: the centres of these "
        "networks' cells fall on voxels, where both are the same."
    )
    return f"## How organ masks are reduced (the paper's Table 6)\n\n{_wrapped(words)}\n\n{_markdown(head, rows)}"


def _fields(results: Results) -> str:
    """Return accuracy against pointing error over the receptive field."""
    chosen = [n for n in _TABLE_1 if n in results and results[n]["lesions"]]
    chosen.sort(key=lambda n: results[n]["about"]["field_px"])
    rows = [
        (
            name,
            f"{results[name]['about']['field_mm']} mm{_whole(results[name]['about'])}",
            " x ".join(map(str, results[name]["about"]["cells"])),
            percent(find(results[name]["summary"], model=name, metric="AUROC", average="mean")),
            _millimetres(_pointing(results, name, HIRESCAM)),
            percent(_pointing(results, name, HIRESCAM, "cell_hit")),
            *(_millimetres(_pointing(results, name, source)) for source in _POINTING_BASELINES),
        )
        for name in chosen
    ]
    baselines = _short(_POINTING_BASELINES)
    head = ("model", "a cell sees", "cells", "mean AUROC", "pointing error", "cell on the lesion", *baselines)
    words = (
        "Pointing error is the distance from the peak cell of the HiResCAM map to the nearest planted lesion of the "
        "label, median over all pairs of test case and present label, in mm; beside it the same for maps that looked "
        "at nothing, for the label's mean place in other phantoms (prior), and for random weights."
    )
    return f"## Accuracy and pointing over the receptive field\n\n{_wrapped(words)}\n\n{_markdown(head, rows)}"


def _claims(results: Results, size: Size) -> str:
    rows = [(claim.words, *verdict(claim, results)) for claim in CLAIMS if claim.entry in results]
    head = ("the paper found", "difference here", "the phantoms")
    words = (
        "Differences are paired by test case. *Show it*: the interval is wholly on the paper's side; *show the "
        "opposite*: wholly on the other; *do not show it*: it holds zero. Several lines are tested without correction"
        f"{', one seed was trained, and the networks are small' if size.networks else ', and one seed was trained'}."
    )
    return f"## What the paper found, and what the phantoms show of it\n\n{_wrapped(words)}\n\n{_markdown(head, rows)}"


def _throughput(results: Results, machine: str) -> str:
    """Return how fast training and explaining went."""
    rows = [(name, *speed_cells(results[name]["speed"])) for name in _TABLE_1 if name in results]
    words = f"""On {machine}. Training: median over epochs. Waiting for data: per cent of the training time.
        Explaining: preprocessing, network and the maps of all labels, one process, median over cases."""
    return f"## Throughput\n\n{_wrapped(words)}\n\n{_markdown(('model', *SPEED_HEAD), rows)}"


def _custom(config: TrainConfig) -> str:
    channels = config.model.custom_channels
    return f"one custom convolution of {channels[-1]} channels" if channels else "custom convolutions as in the paper"


def _limits(size: Size) -> str:
    n_training = size.cases * 5 // 7
    text = f"""Phantoms are not patients; {n_training} training cases are not 2,000 or 25,355, and {size.epochs} epochs
        not up to a hundred. BodyConv, CTNet and 3DConv are not here"""
    text += ": they need 27 slice groups or 81 slices." if size.networks else "."
    if size.networks:
        text += """ Networks of this width are not ResNet-18, and at this input one custom convolution fits where the
            paper has four. Nothing was run at full size (`--size full` does, on a GPU)."""
    return f"## What this is not\n\n{_wrapped(text)}"


def _iou(results: Results, name: str, source: str) -> Mapping[str, Any] | None:
    chosen = {"model": name, "variant": "paper", "placement": PLACED, "measure": "OrganIoU", "group": "all"}
    return find(results[name].get("organ_iou", ()), source=source, **chosen)


def _pointing(results: Results, name: str, source: str, measure: str = "error_mm") -> Mapping[str, Any] | None:
    chosen = {"model": name, "placement": PLACED, "measure": measure, "group": "all"}
    return find(results[name].get("lesions", ()), source=source, **chosen)


def _value(row: Mapping[str, Any] | None) -> float | None:
    return None if row is None else row["value"]


def _millimetres(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return NOT_APPLICABLE
    ends = f" ({row['low']:.0f} to {row['high']:.0f})" if row["low"] is not None else ""
    return f"{row['value']:.0f}{ends}"


def _whole(about: Mapping[str, Any]) -> str:
    """Return that a cell sees the whole slice, if it does."""
    return ", more than the slice" if about["field_px"] >= about["slice_px"] else ""


def _short(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.removesuffix(" map") for name in names)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
