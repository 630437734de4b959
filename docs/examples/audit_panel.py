"""The audit's dock by itself, with a list of three predictions."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.audit_panel import AuditPanel
from hirescam_napari.views.audit_queue import QueueRow
from training.evaluate.audit.verdicts import Verdict

ROWS = (
    QueueRow("FP", "lung nodule", 0.94, "case-012", "wrong organ"),
    QueueRow("FP", "lung nodule", 0.91, "case-007"),
    QueueRow("FN", "pleural effusion", 0.08, "case-031"),
)


def build() -> AuditPanel:
    panel = AuditPanel()
    panel.set_open(True, "cohort: 36 cases, model demo. Reviewer Ann. Not for clinical use.")
    panel.queue.set_rows(len(ROWS), ROWS.__getitem__)
    panel.queue.select(1)
    panel.set_position(1, len(ROWS))
    panel.judge.show_prediction(
        title="False positive: lung nodule",
        facts="Case case-007. Probability 91 %, threshold 50 %.",
        suggestion="Evidence mostly in the wrong organ: allowed organ 3 % (evenly spread: 11 %).",
        books="Score +2.31 = bias −3.41; allowed organ +0.17 −0; rest of the body +5.55 −0.",
        report="Report: says nothing of it.",
    )
    panel.judge.show_verdict(Verdict.WRONG_ORGAN, ("metal",), "Token on the skin.", has_view=True)
    panel.filter.set_labels([("lung nodule", "lung nodule"), ("pleural effusion", "pleural effusion")])
    panel.filter.set_counts(3, 2, 1, 72)
    panel.filter.set_evidence(12, 36)
    return panel


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(380, 700)
    widget.show()
    app.exec()
