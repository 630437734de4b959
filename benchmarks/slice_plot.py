"""Time from asking the slice-score plot for another cursor or another label to the finished picture.

Each step ends when every event is handled: the canvas is drawn and the window is composed and swapped. Measured for the
plot alone (380 x 280), and, with ``--napari``, docked in a napari window of 1366 x 768, where Qt composes the whole
window for every change. ``--napari`` also times a change of slice in napari itself, to compare. Prints JSON.

    LIBGL_ALWAYS_SOFTWARE=1 xvfb-run -s "-screen 0 1366x768x24" python benchmarks/slice_plot.py --napari
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from hirescam_napari.views.slice_scores import SliceScorePlot

GROUPS = 135


def timed(step: Callable[[int], object], n: int) -> dict[str, float]:
    """Run ``step`` n times, each to the finished picture; return its CPU and wall time, ms.

    CPU time, all threads, mean; it tells the work where other programs share the machine.
    """
    spent = []
    cpu = time.process_time()
    for i in range(n):
        start = time.perf_counter()
        step(i)
        QApplication.processEvents()
        spent.append(1000 * (time.perf_counter() - start))
    return {
        "cpu_ms": round(1000 * (time.process_time() - cpu) / n, 2),
        "median_ms": round(statistics.median(spent), 2),
        "p95_ms": round(float(np.percentile(spent, 95)), 2),
        "max_ms": round(max(spent), 2),
    }


def plot_steps(plot: SliceScorePlot, n: int) -> dict[str, dict[str, float]]:
    """Time cursor moves and changes of label."""
    scores = np.random.default_rng(0).normal(size=(n, GROUPS))
    return {
        "cursor": timed(lambda i: plot.set_current(i % GROUPS), n),
        "label": timed(lambda i: plot.set_scores(scores[i], float(scores[i].mean()), f"label {i % 80}"), n),
    }


def alone(n: int) -> dict[str, dict[str, float]]:
    """Measure the plot in a window of its own."""
    plot = SliceScorePlot()
    plot.set_scores(np.zeros(GROUPS), 0.0, "warm up")
    plot.resize(380, 280)
    plot.show()
    QTest.qWait(300)
    result = plot_steps(plot, n)
    plot.close()
    plot.release()
    return result


def in_napari(n: int) -> dict[str, dict[str, float]]:
    """Measure the plot docked beside a 512 x 512 image."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    viewer.add_image(np.random.default_rng(0).random((10, 512, 512)), contrast_limits=(0, 1))
    plot = SliceScorePlot()
    viewer.window.add_dock_widget(plot, area="right", name="Slice scores")
    plot.set_scores(np.zeros(GROUPS), 0.0, "warm up")
    QTest.qWait(1000)
    result = plot_steps(plot, n)
    result["napari_slice"] = timed(lambda i: viewer.dims.set_current_step(0, i % 10), n)
    viewer.close()
    return result


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--napari", action="store_true", help="also measure inside a napari window")
    args = parser.parse_args()
    app = QApplication.instance() or QApplication([])
    result: dict[str, object] = {"platform": app.platformName(), "alone": alone(args.steps)}
    if args.napari:
        result["napari"] = in_napari(args.steps)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
