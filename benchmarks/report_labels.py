"""Measure the report labeler on a CSV in the form of CT-RATE's reports: AccessionNo, report_text, then 0/1 labels.

    python benchmarks/report_labels.py REPORTS.csv [--json]

Prints precision, recall and F1 of every label, their means, the time a report takes, and the same for each fifth of the
file. The rules were written looking at rows whose number modulo 5 is 0 to 3. Fold 4 was scored, and its table per label
seen twice, without a rule being changed after; but three of its reports (rows 64, 214 and 779 of the 800, from 0) were
among fourteen read to learn the wording before any rule was written. They are left out of the held-out line.
The last line with --json is one JSON object with macro_f1, micro_f1 and the per-label table.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import statistics
import time
from pathlib import Path

from training.partition.reports import label_report
from training.partition.reports.ct_rate import ct_rate_labels

FOLDS = 5
HELD_OUT_FOLD = 4
READ_BEFOREHAND = (64, 214, 779)


def score(truth: list[dict[str, bool]], found: list[dict[str, bool]]) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 and counts per label."""
    table = {}
    for label in truth[0]:
        pairs = [(t[label], f[label]) for t, f in zip(truth, found, strict=True)]
        tp = sum(t and f for t, f in pairs)
        fp = sum(f and not t for t, f in pairs)
        fn = sum(t and not f for t, f in pairs)
        table[label] = {
            "precision": tp / (tp + fp) if tp + fp else float("nan"),
            "recall": tp / (tp + fn) if tp + fn else float("nan"),
            "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else float("nan"),
            "tp": tp,
            "fp": fp,
            "fn": fn,
        }
    return table


def means(table: dict[str, dict[str, float]]) -> tuple[float, float]:
    """Return macro and micro F1; labels without any positive, found or true, are left out of the macro mean."""
    macro = statistics.fmean(row["f1"] for row in table.values() if row["f1"] == row["f1"])
    tp, wrong = sum(r["tp"] for r in table.values()), sum(r["fp"] + r["fn"] for r in table.values())
    return macro, 2 * tp / (2 * tp + wrong)


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = list(csv.DictReader(io.StringIO(options.reports.read_text(encoding="utf-8-sig"))))
    text = next(n for n in rows[0] if n.lower() in {"report_text", "report", "text"})
    labels = [label for label in ct_rate_labels(()) if label in rows[0]]
    truth = [{label: row[label].strip() in {"1", "1.0"} for label in labels} for row in rows]

    label_report("warm up")
    times, found = [], []
    for row in rows:
        start = time.perf_counter()
        result = ct_rate_labels(label_report(row[text]).findings)
        times.append(1000 * (time.perf_counter() - start))
        found.append({label: result[label] for label in labels})

    table = score(truth, found)
    print(f"{'label':36s} {'precision':>9s} {'recall':>7s} {'F1':>6s} {'tp':>5s} {'fp':>5s} {'fn':>5s}")
    for label, row in table.items():
        print(
            f"{label:36s} {row['precision']:9.3f} {row['recall']:7.3f} {row['f1']:6.3f}"
            f" {row['tp']:5.0f} {row['fp']:5.0f} {row['fn']:5.0f}"
        )
    macro, micro = means(table)
    folds = [means(score(truth[k::FOLDS], found[k::FOLDS])) for k in range(FOLDS)] if len(rows) >= 10 * FOLDS else []
    print(f"all {len(rows)} reports: macro F1 {macro:.3f}, micro F1 {micro:.3f}")
    for k, (fold_macro, fold_micro) in enumerate(folds):
        print(f"fold {k}: macro F1 {fold_macro:.3f}, micro F1 {fold_micro:.3f}")
    held_out = [k for k in range(HELD_OUT_FOLD, len(rows), FOLDS) if k not in READ_BEFOREHAND] if folds else []
    if held_out:
        held_macro, held_micro = means(score([truth[k] for k in held_out], [found[k] for k in held_out]))
        scores = f"macro F1 {held_macro:.3f}, micro F1 {held_micro:.3f}"
        print(f"held out ({len(held_out)} reports of fold {HELD_OUT_FOLD}): {scores}")
    print(f"time a report: median {statistics.median(times):.2f} ms, mean {statistics.fmean(times):.2f} ms")
    if options.json:
        result = {"macro_f1": macro, "micro_f1": micro, "ms_per_report": statistics.fmean(times), "labels": table}
        result["folds"] = [{"macro_f1": a, "micro_f1": b} for a, b in folds]
        print(json.dumps(result))


if __name__ == "__main__":
    main()
