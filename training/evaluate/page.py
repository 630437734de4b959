"""An evaluation as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from training.evaluate import figures, html
from training.evaluate.bands import Bands
from training.evaluate.classification import Classification
from training.evaluate.html import document, folded, head, image
from training.evaluate.pairs import LABEL_GROUP, OVERALL
from training.evaluate.rows import Row
from training.evaluate.tables import Evaluation, readable
from training.labels import display_name
from training.words import counted

SUMMARY_WORDS = (
    "Medians and means are over the labels to which a metric applies. In brackets: the interval from drawing cases "
    "with replacement. Labels that no case has, or all have, are not applicable (n/a). Of labels with only a handful "
    "of positives the interval is too narrow: drawing the same few cases again cannot show what others would."
)
ORGAN_WORDS = (
    "OrganIoU is the share of the cells a map switches on that lies where the abnormality may be. paper: 1 for a map "
    "with nothing outside; authors: 0 for such a map, as their code has it. Thresholds were chosen for each label on "
    "validation cases. Soft mass is the share of the positive map in the allowed region, without threshold. Only "
    "labels that a case has count; every (case, label) pair counts the same. A number means little unless it beats "
    "the baselines."
)
LESION_WORDS = (
    "error_mm: distance from the peak of the map to the nearest lesion (its centre if compact, else its edge); hit: "
    "the peak lies in a lesion; cell_hit: the peak's cell touches one; mass_inside: share of the positive map on "
    "lesions. Distances are medians, shares are means."
)
SLICE_WORDS = (
    "Mean score of every slice group over cases with the abnormality (orange) and without it (blue), with the 95 % "
    "interval of the mean: Figure 13 of the paper."
)
SHOWN_BANDS = 9
COMPARISON_WORDS = (
    "First minus second on the same cases; share below zero: of the resamples in which the difference is negative."
)


def page(evaluation: Evaluation) -> str:
    """Return the page; every text in it is escaped."""
    sections = [head(evaluation.title, evaluation.notes)]
    sections += [_model(name, found) for name, found in evaluation.classification.items()]
    sections.append(_organ(evaluation.organ_iou) if evaluation.organ_iou else "")
    sections.append(_lesions(evaluation.lesions) if evaluation.lesions else "")
    sections.append(_comparisons(evaluation.comparisons) if evaluation.comparisons else "")
    sections.append(_slices(evaluation.bands) if evaluation.bands else "")
    return document(evaluation.title, sections)


def _slices(found: Sequence[Bands]) -> str:
    """Return Figure 13: the labels with most positives, and all of them to unfold."""
    ranked = sorted(found, key=lambda one: -one.n_positive)
    caption = f"{counted(min(len(ranked), SHOWN_BANDS), 'abnormality')} with most positives"
    parts = [f"<h2>Slice scores</h2><p>{escape(SLICE_WORDS)}</p>"]
    parts.append(image(figures.bands_picture(ranked[:SHOWN_BANDS]), caption))
    if len(ranked) > SHOWN_BANDS:
        parts.append(
            folded("All abnormalities", image(figures.bands_picture(ranked), "Every abnormality with positives"))
        )
    return "\n".join(parts)


def _model(name: str, found: Classification) -> str:
    tables = Evaluation("", {name: found}).tables()
    plan = found.resampling
    facts = f"{counted(found.n_cases, 'case')}, {counted(len(found.labels), 'label')}"
    facts += f", {counted(plan.n, 'resample')} (seed {plan.seed}, {plan.level:.0%})."
    absent = ", ".join(map(display_name, found.not_applicable))
    return "\n".join(
        (
            f"<h2>Predictions: {escape(name)}</h2>",
            f"<p>{escape(facts)} {escape(SUMMARY_WORDS)}</p>",
            f"<p>Not applicable: {escape(absent)}.</p>" if absent else "",
            table(tables["summary"], ("metric", "average", "value", "n_labels")),
            image(figures.roc_picture(found), "ROC: every label thin, their mean bold"),
            image(
                figures.calibration_picture(found), "Calibration: bins of every label as dots, larger for more cases"
            ),
            image(figures.forest_picture(found), "AUROC of every label with its interval"),
            folded("All labels", table(tables["labels"], ("label", "n_positive", *figures_of(tables["labels"])))),
        )
    )


def table(rows: Iterable[Row], names: Sequence[str]) -> str:
    """Return rows as an HTML table in a reader's words."""
    return html.table(map(readable, rows), names)


def figures_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the columns that have an interval beside them."""
    return tuple(key for key in rows[0] if f"{key}_low" in rows[0])


def _organ(rows: Sequence[Row]) -> str:
    overall = [_barred(row) for row in rows if row["group"] == OVERALL]
    names = tuple(key for key in rows[0] if key not in _HIDDEN)
    parts = [f"<h2>Organs</h2><p>{escape(ORGAN_WORDS)}</p>"]
    for measure in dict.fromkeys(str(row["measure"]) for row in overall):
        bars = [row for row in overall if row["measure"] == measure]
        parts.append(image(figures.bars_picture(bars, measure), f"{measure} over all pairs; baselines in grey"))
    return "\n".join((*parts, *_tables(rows, names)))


def _lesions(rows: Sequence[Row]) -> str:
    names = tuple(key for key in rows[0] if key not in _HIDDEN)
    parts = [f"<h2>Lesions</h2><p>{escape(LESION_WORDS)}</p>"]
    for measure, unit in (
        ("error_mm", "median pointing error, mm"),
        ("mass_inside", "mean share of the map on lesions"),
    ):
        bars = [_barred(row) for row in rows if row["measure"] == measure and row["group"] == OVERALL]
        parts.append(image(figures.bars_picture(bars, unit), f"{unit}; baselines in grey"))
    return "\n".join((*parts, *_tables(rows, names)))


def _tables(rows: Sequence[Row], names: Sequence[str]) -> tuple[str, ...]:
    """Return the rows over all pairs as a table, and groups and labels to unfold."""
    parts = {
        "Groups of abnormalities": [row for row in rows if row["group"] != OVERALL and not _of_label(row)],
        "Every abnormality": [row for row in rows if _of_label(row)],
    }
    main = table([row for row in rows if row["group"] == OVERALL], names)
    return (main, *(folded(title, table(own, names)) for title, own in parts.items() if own))


def _comparisons(rows: Sequence[Row]) -> str:
    names = ("first", "second", "measure", "group", "difference", "share_below_zero")
    main = [row for row in rows if _is_overall(row)]
    heading = f"<h2>Comparisons</h2><p>{escape(COMPARISON_WORDS)}</p>"
    rest = [row for row in rows if not _is_overall(row)]
    return "\n".join((heading, table(main, names), folded("All groups and labels", table(rest, names)) if rest else ""))


_HIDDEN = ("low", "high", "n_resamples")


def _is_overall(row: Row) -> bool:
    return row["group"] == OVERALL or str(row["group"]).endswith("over labels")


def _of_label(row: Row) -> bool:
    return str(row["group"]).startswith(LABEL_GROUP)


def _barred(row: Row) -> dict[str, Any]:
    """Return the row with the name of its bar: the source, and what else tells rows apart."""
    told = [str(row[key]) for key in ("model", "variant", "placement") if key in row]
    return {**row, "bar": " · ".join([str(row["source"]), *told])}
