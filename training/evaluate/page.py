"""An evaluation as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from training.evaluate import figures, html
from training.evaluate.classification import Classification
from training.evaluate.html import document, folded, head, image
from training.evaluate.pairs import LABEL_GROUP, OVERALL
from training.evaluate.reader_words import placed_words
from training.evaluate.rows import Row
from training.evaluate.tables import Evaluation, readable
from training.labels import display_name
from training.words import counted

SUMMARY_WORDS = (
    "Medians and means are over the labels to which a metric applies. In brackets: the interval from drawing cases "
    "with replacement. Labels that no case has, or all have, are not applicable (n/a). Of labels with only a handful "
    "of positives the interval is too narrow: drawing the same few cases again cannot show what others would. "
    "Drawing again makes a calibration error larger: its intervals have that bias taken away."
)
ORGAN_WORDS = (
    "OrganIoU is the share of the cells a map switches on that lies where the abnormality may be. By the paper's "
    "definition it is 1 for a map "
    "with nothing outside, by the authors' code 0. Every label and map has a threshold of its "
    "own. Soft mass is the share of the positive map in the allowed region, without threshold. Only "
    "labels that a case has count; every (case, label) pair counts the same. A number means little unless it beats "
    "the baselines."
)
THRESHOLD_WORDS = "A cell is on above this share of the map's largest value. n/a: there was none, and no number."
LESION_WORDS = (
    "Pointing error: distance from the peak of the map to the nearest lesion (its centre if compact, else its edge). "
    "Pointing game: the peak lies in a lesion. Cell on a lesion: the peak's cell touches one. Mass inside: share of "
    "the positive map on lesions. Distances are medians, shares are means."
)
SLICE_WORDS = (
    "Mean score of every slice group over cases with the abnormality (orange) and without it (blue), with the 95 % "
    "interval of the mean: Figure 13 of the paper. Fewer than five cases have no interval, and the panel says so."
)
SHOWN_BANDS = 9
COMPARISON_WORDS = (
    "First minus second on the same cases; share below zero: of the resamples in which the difference is negative "
    "(of groups and labels in comparisons.csv). By the paper's definition, cells where they look; the others are "
    "folded. Any other two maps: --compare."
)


def page(evaluation: Evaluation) -> str:
    """Return the page; every text in it is escaped."""
    told = [str(issue) for issue in evaluation.issues]
    sections = [head(evaluation.title, [*evaluation.notes, *told])]
    sections += [_model(name, found) for name, found in evaluation.classification.items()]
    sections.append(_organ(evaluation, told) if evaluation.organ_iou else "")
    sections.append(_lesions(evaluation.lesions) if evaluation.lesions else "")
    sections.append(_comparisons(evaluation.comparisons) if evaluation.comparisons else "")
    sections.append(_slices(evaluation) if evaluation.bands else "")
    sections.append(_made(evaluation.made) if evaluation.made else "")
    return document(evaluation.title, sections)


def bands_title(model: str) -> str:
    """Return what stands above the picture of slice scores."""
    return f"Mean slice score with its 95 % interval{f': model {model}' if model else ''}"


def _slices(evaluation: Evaluation) -> str:
    """Return Figure 13: the labels with most positives, and all of them to unfold."""
    found, title = evaluation.bands, bands_title(evaluation.bands_of)
    ranked = sorted(found, key=lambda one: -one.n_positive)
    caption = f"{counted(min(len(ranked), SHOWN_BANDS), 'abnormality')} with most positives"
    parts = [f"<h2>Slice scores</h2><p>{escape(SLICE_WORDS)}</p>"]
    parts.append(image(figures.bands_picture(ranked[:SHOWN_BANDS], title), caption))
    if len(ranked) > SHOWN_BANDS:
        rest = image(figures.bands_picture(ranked[SHOWN_BANDS:], title), "The other abnormalities with positives")
        parts.append(folded("All other abnormalities", rest))
    return "\n".join(parts)


def _made(made: Mapping[str, Any]) -> str:
    """Return how the evaluation was made, as ``evaluation.json`` has it."""
    text = json.dumps(made, indent=1, ensure_ascii=False)
    return folded("How this was made", f"<pre>{escape(text)}</pre>")


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


def _organ(evaluation: Evaluation, told: Sequence[str]) -> str:
    rows = [_as_defined(row) for row in evaluation.organ_iou]
    said = [ORGAN_WORDS, evaluation.thresholds, *told]
    parts = ["<h2>Organs</h2>", *(f"<p>{escape(words)}</p>" for words in said if words)]
    overall = [_barred(row, rows) for row in rows if row["group"] == OVERALL]
    for measure in dict.fromkeys(str(row["measure"]) for row in overall):
        bars = [row for row in overall if row["measure"] == measure]
        parts.append(image(figures.bars_picture(bars, measure), f"{measure} over all pairs; {_bar_words(bars)}"))
    parts += _tables(rows, ("model", "source", "variant", "placement", "measure", "value", "n_pairs", "n_cases"))
    thresholds = [row for row in rows if _of_label(row) and row["measure"] == "OrganIoU"]
    if thresholds:
        note = f"<p>{escape(THRESHOLD_WORDS)}</p>"
        parts.append(folded("Thresholds", note + _across(thresholds, _WITHIN, "source", "threshold")))
    if evaluation.left_out:
        names = ("model", "source", "variant", "placement", "label", "n_pairs", "reason")
        parts.append(folded("Pairs that OrganIoU leaves out", table(evaluation.left_out, names)))
    return "\n".join(parts)


def _as_defined(row: Row) -> Row:
    """Return the row without a definition if it is of soft mass, which knows only one."""
    return row if row["measure"] == "OrganIoU" else {key: value for key, value in row.items() if key != "variant"}


def _lesions(rows: Sequence[Row]) -> str:
    parts = [f"<h2>Lesions</h2><p>{escape(LESION_WORDS)}</p>"]
    for measure, unit in (
        ("error_mm", "median pointing error, mm"),
        ("mass_inside", "mean share of the map on lesions"),
    ):
        bars = [_barred(row, rows) for row in rows if row["measure"] == measure and row["group"] == OVERALL]
        parts.append(image(figures.bars_picture(bars, unit), f"{unit}; {_bar_words(bars)}"))
    names = ("model", "source", "placement", "measure", "average", "value", "n_pairs", "n_cases")
    return "\n".join((*parts, *_tables(rows, names)))


def _tables(rows: Sequence[Row], names: Sequence[str]) -> tuple[str, ...]:
    """Return the rows over all pairs as a table; groups and labels, with a column for every map, to unfold."""
    parts = {
        "Groups of abnormalities": [row for row in rows if row["group"] != OVERALL and not _of_label(row)],
        "Every abnormality": [row for row in rows if _of_label(row)],
    }
    main = table([row for row in rows if row["group"] == OVERALL], names)
    return (main, *(folded(title, _across(own, _WITHIN, "source", "value")) for title, own in parts.items() if own))


def _comparisons(rows: Sequence[Row]) -> str:
    names = ("first", "second", "measure", "group", "difference", "share_below_zero")
    overall = [row for row in rows if _is_overall(row)]
    parts = [f"<h2>Comparisons</h2><p>{escape(COMPARISON_WORDS)}</p>"]
    parts.append(table([row for row in overall if not _is_variation(row)], names))
    if other := [row for row in overall if _is_variation(row)]:
        parts.append(folded("Other definitions and placements", table(other, names)))
    if rest := [row for row in rows if not _is_overall(row)]:
        groups = _across(rest, ("first", "second"), "measure", "difference", " minus ")
        parts.append(folded("All groups and labels", groups))
    return "\n".join(parts)


def _is_variation(row: Row) -> bool:
    """Return True unless cells lie where they look and the definition is the paper's, if there is any."""
    _, _, where = str(row["measure"]).partition(" (")
    return "stretch" in where or "authors" in where


_WITHIN = ("model", "measure", "variant", "placement")
"""What tells the tables of groups apart."""


def _across(rows: Sequence[Row], within: Sequence[str], across: str, value: str, joint: str = ", ") -> str:
    """Return a table for every combination of ``within``: a line a group, a column for everything in ``across``."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        shown = readable(row)
        parts.setdefault(joint.join(str(shown[key]) for key in within if key in shown), []).append(row)
    return "\n".join(f"<h3>{escape(title)}</h3>{_grid(own, across, value)}" for title, own in parts.items())


def _grid(rows: Sequence[Row], across: str, value: str) -> str:
    lines: dict[str, dict[str, Any]] = {}
    columns = dict.fromkeys(str(readable(row)[across]) for row in rows)
    for row in rows:
        group = readable(row)["group"]
        line = lines.setdefault(group, {"group": group})
        if "n_pairs" in row and value == "value":  # of the map that leaves out least
            line["n_pairs"] = max(line.get("n_pairs", 0), row["n_pairs"])
        name = str(readable(row)[across])
        line[name] = row[value]
        if value != "threshold":
            line |= {f"{name}_low": row["low"], f"{name}_high": row["high"]}
    counts = ("n_pairs",) if any("n_pairs" in line for line in lines.values()) else ()
    return table(lines.values(), ("group", *counts, *columns))


def _is_overall(row: Row) -> bool:
    return row["group"] == OVERALL or str(row["group"]).endswith("over labels")


def _of_label(row: Row) -> bool:
    return str(row["group"]).startswith(LABEL_GROUP)


def _bar_words(bars: Sequence[Row]) -> str:
    """Return what the colours of bars stand for."""
    several = len({row["model"] for row in bars}) > 1
    return figures.BAR_WORDS + (", the second model paler" if several else "")


def _barred(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the row with the name of its bar, the map and, of several models, whose; and the panel it stands in."""
    several = len({one["model"] for one in rows}) > 1
    bar = f"{row['source']} · {row['model']}" if several else str(row["source"])
    return {**row, "bar": bar, "panel": placed_words(row.get("variant"), row.get("placement"))}
