"""How fast the viewer answers: first picture, label switch, slice step; each with the draw it causes.

Run on a display (a virtual one serves: ``xvfb-run -s "-screen 0 1366x768x24 +extension GLX"``)::

    LIBGL_ALWAYS_SOFTWARE=1 QT_QPA_PLATFORM=xcb python benchmarks/viewer.py [--ct CT] [--json]

A step is timed from the request until Qt has nothing left to do and the canvas has been drawn. ``cpu_ms`` is the time
this process was given in the meantime: on a machine that is busy with other work it says what an idle one would take.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from napari.viewer import Viewer
from qtpy.QtWidgets import QApplication

from hirescam_napari._case import Case
from hirescam_napari._session import start_session
from hirescam_napari._state import Layout
from hirescam_napari._widget import HiResCamWidget
from hirescam_napari._workers import case_of, load_case, warm_up
from training.explain import cam
from training.explain.result import METHODS, Explanation, ModelInfo
from training.geometry import CellLayout, Geometry, ReceptiveField
from training.labels import label_names
from training.volume import Volume

TARGETS_MS = {"label switch": 50.0, "first picture": 2000.0}
REPEATS = 30


def noise_ct() -> Volume:
    """Return 300 slices of 512 x 512: 1.25 x 0.8 x 0.8 mm."""
    geometry = Geometry.canonical((300, 512, 512), (1.25, 0.8, 0.8), (-204.0, -204.0, 0.0))
    hu = np.random.default_rng(0).integers(-1000, 400, (1, 512, 512)).astype(np.int16)
    return Volume(np.ascontiguousarray(np.broadcast_to(hu, geometry.shape)), geometry)


def explanation_of(volume: Volume, cells: int) -> Explanation:
    """Return random Z of full size (135 groups, 16 features, cells x cells) over the middle of ``volume``."""
    rng = np.random.default_rng(1)
    z = rng.random((135, 16, cells, cells), dtype=np.float32)
    weights = rng.normal(0, 0.05, (80, 16, cells, cells)).astype(np.float32)
    bias = np.zeros(80, np.float32)
    middle = volume.geometry.to_world((np.array(volume.geometry.shape) - 1) / 2)
    grid = Geometry.canonical((405, 420, 420), (0.8,) * 3, middle + np.array([-167.6, -167.6, 161.6]))
    field = ReceptiveField(691, 32.0, 128.0) if cells == 6 else ReceptiveField(99, 8.0, 2.0)
    model = ModelInfo("random", "0" * 64, "axialnet", "one-fully-connected", "The map adds up to the score.", True)
    return Explanation(
        case_id="benchmark",
        labels=label_names(),
        z=z,
        weights=weights,
        bias=bias,
        scores=cam.scores(z, weights, bias),
        input_geometry=grid,
        image_geometry=volume.geometry,
        cells=CellLayout((135, cells, cells), (ReceptiveField(3, 3.0, 1.0), field, field)),
        model=model,
    )


class Clock:
    """Times steps in one window."""

    def __init__(self, viewer: Viewer) -> None:
        self.draws = 0
        viewer.window._qt_viewer.canvas.events.draw.connect(self._count)

    def _count(self, _event: object) -> None:
        self.draws += 1

    def step(self, action: Callable[[], None]) -> tuple[float, float]:
        """Return wall and CPU time (ms) of ``action`` and of the draws it causes; waits until one has happened."""
        before = self.draws
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        QApplication.processEvents()
        while self.draws == before:
            QApplication.processEvents()
        return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)

    def repeat(self, actions: list[Callable[[], None]]) -> dict[str, float]:
        """Return medians and the 95th percentile over ``actions``; the first three warm up."""
        steps = [self.step(action) for action in actions]
        wall, cpu = zip(*steps[3:], strict=True)
        return {
            "median_ms": round(median(wall), 1),
            "p95_ms": round(float(np.percentile(wall, 95)), 1),
            "cpu_ms": round(median(cpu), 1),
        }


def label_switches(widget: HiResCamWidget) -> list[Callable[[], None]]:
    """Return clicks on one label after the other, far apart in the table."""
    labels = label_names()
    return [lambda name=labels[(17 * i) % 80]: widget.controller.select(name) for i in range(REPEATS)]


def slice_steps(widget: HiResCamWidget) -> list[Callable[[], None]]:
    """Return steps through the slices by the arrow key's action."""
    return [lambda i=i: widget.controller.step_slice(1 if i % 20 < 10 else -1) for i in range(REPEATS)]


def measure(case: Case, cells: int) -> dict[str, dict[str, float]]:
    """Return every measurement for maps of cells x cells."""
    viewer, widget = start_session()
    viewer.window.resize(1366, 768)
    widget.engine.start = lambda: None  # type: ignore[method-assign]
    for _ in range(20):
        QApplication.processEvents()
        time.sleep(0.01)
    clock = Clock(viewer)
    results: dict[str, dict[str, float]] = {}
    wall, cpu = clock.step(lambda: widget.show_case(replace(case, explanation=None)))
    results["first picture"] = {"median_ms": round(wall, 1), "cpu_ms": round(cpu, 1)}
    if case.volume is None:
        raise ValueError("a CT is needed")
    explanation = explanation_of(case.volume, cells)
    for method in METHODS:
        explanation.summary(method)
    widget.show_case(replace(case, explanation=explanation))
    results["label switch"] = clock.repeat(label_switches(widget))
    results["slice step"] = clock.repeat(slice_steps(widget))
    widget.controller.change(layout=Layout.SIDE_BY_SIDE)
    results["label switch, side by side"] = clock.repeat(label_switches(widget))
    viewer.close()
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct", type=Path, help="a CT; 300 slices of noise by default")
    parser.add_argument("--cells", type=int, default=6, choices=[6, 53], help="cells along a side of the map")
    parser.add_argument("--json", action="store_true", help="one JSON line")
    arguments = parser.parse_args()
    warm_up()
    case = load_case([arguments.ct]) if arguments.ct else case_of(noise_ct())
    results = measure(case, arguments.cells)
    if arguments.json:
        print(json.dumps({"python": platform.python_version(), "cells": arguments.cells, "results": results}))
        return
    for name, numbers in results.items():
        target = f"   (target {TARGETS_MS[name]:g} ms)" if name in TARGETS_MS else ""
        print(f"{name:28}" + "  ".join(f"{key} {value:7.1f}" for key, value in numbers.items()) + target)


if __name__ == "__main__":
    sys.exit(main())
