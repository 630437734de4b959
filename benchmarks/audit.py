"""How soon the next case of an audit is on the screen: full CTs, the demo model's store, the next case read ahead.

Run on a display (a virtual one serves: ``xvfb-run -s "-screen 0 1366x768x24 +extension GLX"``)::

    LIBGL_ALWAYS_SOFTWARE=1 QT_QPA_PLATFORM=xcb python benchmarks/audit.py [--cases N] [--json]

Makes phantoms of 240 x 400 x 400 voxels, explains them, opens the audit of all predictions sorted so that each step
goes to another case, waits until that one is ready, and times from the step until the canvas has been drawn and Qt has
nothing left to do. Claim measured: under 300 ms. ``cpu_ms`` is the time this process was given in the meantime.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torchvision  # noqa: F401 - before any window: once OpenGL has loaded Mesa's LLVM, importing Triton's crashes
from qtpy.QtWidgets import QApplication

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.viewer import Clock
from hirescam_napari._audit import AuditController
from hirescam_napari._audit_dock import AuditDock
from hirescam_napari._session import start_session
from training.cohort.batch import BatchSettings, open_for_filling, prepare_batch, run_batch
from training.cohort.phantom import PhantomGrid, write_cohort
from training.commands.audit import AuditRequest, Threshold

TARGET_MS = 300.0
GRID = PhantomGrid((240, 400, 400), (1.5, 0.9, 0.9))


def make_store(folder: Path, cases: int) -> Path:
    """Make phantoms and explain them by the demo model."""
    write_cohort(folder / "phantoms", cases, 700_000, GRID)
    store = folder / "store"
    batch = prepare_batch(folder / "phantoms", store, BatchSettings("demo"))
    open_for_filling(store, batch.plan)
    run_batch(batch)
    return store


def other_case(audit: AuditController) -> int | None:
    """Return the nearest later row that shows another case than now."""
    row, subjects = audit.row, audit.selection
    if row is None:
        return None
    here = subjects[row].case
    return next((n for n in range(row + 1, len(subjects)) if subjects[n].case != here), None)


def measure(store: Path) -> list[tuple[float, float]]:
    """Return wall and CPU time (ms) of each step to another case that was read ahead."""
    viewer, session = start_session()
    viewer.window.resize(1366, 768)
    dock = AuditDock(viewer, session)
    viewer.window.add_dock_widget(dock, name="Audit", area="left")
    audit = dock.open_store(AuditRequest(store, "Ann", Threshold.CHECKPOINT, {}))
    clock, found = Clock(viewer), []
    while (row := other_case(audit)) is not None:
        audit.go_to(row - 1)
        name = audit.selection[row].case
        until = time.monotonic() + 60
        while audit.prefetcher.get(name) is None or audit._on_screen(audit.selection[row - 1]) is None:
            QApplication.processEvents()
            time.sleep(0.01)
            if time.monotonic() > until:
                raise SystemExit("the next case was not read within a minute")
        for _ in range(20):
            QApplication.processEvents()
            time.sleep(0.01)
        found.append(clock.step(lambda: audit.step(1)))
    dock.close_audit()
    viewer.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="one JSON line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = zip(*measure(make_store(Path(folder), arguments.cases)), strict=True)
    results = {
        "steps": len(wall),
        "median_ms": round(median(wall)),
        "max_ms": round(max(wall)),
        "cpu_ms": round(median(cpu)),
    }
    if arguments.json:
        print(json.dumps(results))
    else:
        print("  ".join(f"{key} {value}" for key, value in results.items()) + f"   (target {TARGET_MS:g} ms)")


if __name__ == "__main__":
    main()
