"""Make the pictures of docs/audit.md: a cohort of phantoms with a planted shortcut, judged in the window.

    python docs/make_audit_pictures.py [--out docs/images]

Needs a display (``xvfb-run`` gives a virtual one).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torchvision  # noqa: F401 - before any window: once OpenGL has loaded Mesa's LLVM, importing Triton's crashes
from qtpy.QtWidgets import QApplication

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hirescam_napari._audit import AuditController  # noqa: E402
from hirescam_napari._audit_dock import AuditDock  # noqa: E402
from hirescam_napari._demo import WINDOW_PX  # noqa: E402
from hirescam_napari._pictures import save_window, settle  # noqa: E402
from hirescam_napari._session import start_session  # noqa: E402
from tests.shortcuts import SHORTCUT, make_shortcut_cohort  # noqa: E402
from training.commands.audit import AuditRequest, Threshold  # noqa: E402
from training.evaluate.audit.select import Filter  # noqa: E402
from training.evaluate.audit.verdicts import Verdict  # noqa: E402
from training.io.atomic import atomic_path  # noqa: E402


def wait(ready: Callable[[], bool]) -> None:
    """Let events run until ``ready``."""
    while not ready():
        QApplication.processEvents()
    settle()


def shown(audit: AuditController) -> bool:
    """Say whether what is asked for is on the screen."""
    return audit.subject is None or audit._on_screen(audit.subject) is not None


def judge(audit: AuditController, verdict: Verdict) -> None:
    """Judge and wait for the next."""
    audit.judge(verdict)
    wait(lambda: shown(audit))


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        cohort = make_shortcut_cohort(Path(folder) / "phantoms")
        viewer, session = start_session()
        viewer.window.resize(*WINDOW_PX)
        dock = AuditDock(viewer, session)
        viewer.window.add_dock_widget(dock, name="Audit", area="left")
        audit = dock.open_store(AuditRequest(cohort.store, "Ann", Threshold.CHECKPOINT, {}))
        wait(lambda: shown(audit))
        take(audit, dock, out)
        dock.close_audit()
        viewer.close()


def take(audit: AuditController, dock: AuditDock, out: Path) -> None:
    """Leave a picture of each state in ``out``."""
    viewer, panel = dock.viewer, dock.panel
    panel.filter.label.setCurrentIndex(panel.filter.label.findData(SHORTCUT))
    wait(lambda: shown(audit))
    audit.widget.show_page("Slices")
    paths = [save_window(viewer, out / "audit-1-judge.png")]
    for verdict in (Verdict.WRONG_ORGAN,) * 4:
        judge(audit, verdict)
    panel.judge.tags.setText("metal")
    panel.judge.comment.setText("Token on the skin, no nodule.")
    judge(audit, Verdict.WRONG_ORGAN)
    audit.step(-1)
    audit.widget.show_page("Budget")
    wait(lambda: shown(audit))
    paths.append(save_window(viewer, out / "audit-2-budget.png"))
    panel.tabs.setCurrentIndex(1)
    paths.append(save_window(viewer, out / "audit-3-look-at.png"))
    job = audit.work_out()
    wait(lambda: not job.running)
    for verdict in (Verdict.WRONG_ORGAN, Verdict.UNCLEAR, Verdict.LABEL_WRONG):
        judge(audit, verdict)
    panel.tabs.setCurrentIndex(panel.progress_tab)
    paths.append(save_window(viewer, out / "audit-4-progress.png"))
    paths.append(report_picture(audit, out))
    for path in paths:
        print(f"{path.stat().st_size / 1000:5.0f} KB  {path.name}")


def report_picture(audit: AuditController, out: Path) -> Path:
    """Leave the picture of one prediction as the report prints it."""
    from training.evaluate.audit.pictures import Illustrator

    subject = audit.audit.select(Filter(labels=(SHORTCUT,)))[0]
    entry = audit.audit.mine(subject)
    data = Illustrator(audit.audit.store).draw(subject, None if entry is None else entry.view).figure.save("png")
    path = out / "audit-5-report.png"
    with atomic_path(path) as partial:
        partial.write_bytes(data)
    return path


if __name__ == "__main__":
    main()
