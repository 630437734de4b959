"""How long the score budget takes when the abnormality changes, on the largest maps and in the panel.

    python benchmarks/budget.py                 80 abnormalities, maps of 135 x 53 x 53 cells, window included
    python benchmarks/budget.py --small         a quick check of the script itself

Claim measured: the budget follows the selected abnormality in under 16 ms. Times are CPU time of the thread, from the
selection to the painted panel; wall times mean something on an idle machine only. The regions of both organ groups are
worked out beforehand, as the viewer does on the thread that finds the organs. Needs a display
(``QT_QPA_PLATFORM=offscreen`` will do). Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def synthetic_case(small: bool) -> Any:
    """Return a case with random maps of all 80 labels and organs that fill a part of the cells."""
    from hirescam_napari._case import Case
    from tests.explanations import make_explanation
    from training.partition.cells import OrganCells
    from training.partition.organs import LEFT_LUNG, MEDIASTINUM, RIGHT_LUNG

    groups, side = (9, 6) if small else (135, 53)
    explanation = make_explanation(80, groups, (side, side), architecture="axialnet-local")
    rng = np.random.default_rng(0)
    parts = rng.dirichlet(np.ones(5), explanation.cells.n_cells).astype(np.float32)
    shares = {value: parts[..., i] for i, value in enumerate((RIGHT_LUNG, LEFT_LUNG, MEDIASTINUM))}
    centres = {value: (share > 0.4).astype(np.float32) for value, share in shares.items()}
    cells = OrganCells("receptive_field", centres, shares, 1 - parts[..., 4])
    return Case(explanation=explanation, cells={"receptive_field": cells})


def timed(case: Any) -> list[float]:
    """Return CPU milliseconds of every selection."""
    from qtpy.QtWidgets import QApplication

    from hirescam_napari._details import DetailPanels

    application = QApplication.instance() or QApplication([])
    panels = DetailPanels()
    panels.budget.resize(380, 300)
    panels.budget.show()
    for label in case.explanation.labels:
        case.region(label)
    times = []
    for label in case.explanation.labels:
        start = time.thread_time()
        panels.show(case, label)
        application.processEvents()
        times.append(1000 * (time.thread_time() - start))
    return times[1:]  # the first also lays the panel out


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    case = synthetic_case(parser.parse_args().small)
    times = timed(case)
    summary = {"median_ms": statistics.median(times), "largest_ms": max(times), "n": len(times)}
    print(json.dumps({"cells": case.explanation.cells.n_cells, **summary}))


if __name__ == "__main__":
    main()
