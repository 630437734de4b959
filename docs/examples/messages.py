"""The message list by itself."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.messages import MessageList
from training.issues import error, note, warning


def build() -> MessageList:
    messages = MessageList()
    messages.set_issues(
        [
            error("missing-slice", "Slice 31 of 59 is missing.", "Read again with repair.", "IM0031"),
            warning("lossy", "The series was compressed with loss."),
            note("localizer", "A localizer was left out."),
        ]
    )
    return messages


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(380, 120)
    widget.show()
    app.exec()
