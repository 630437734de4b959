"""Judging one prediction, by itself: prints verdicts."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.audit_judge import AuditJudge


def build() -> AuditJudge:
    panel = AuditJudge()
    panel.show_prediction(
        title="False negative: pleural effusion",
        facts="Case case-031. Probability 8 %, threshold 50 %.",
        suggestion="Evidence spread, more than half of it in no one place.",
        books="Score −2.44 = bias −6.67; allowed organ +1.2 −0.4; other organs +1.1 −0.2.",
        report="Report: “Small left pleural effusion.”",
    )
    panel.show_others("Others: Bob: unclear")
    panel.judged.connect(print)
    return panel


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(360, 420)
    widget.show()
    app.exec()
