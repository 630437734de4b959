"""The case header by itself."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.case_header import CaseHeader, CaseTitle

CAUTION = "trained on synthetic phantoms – not for clinical use"


def build() -> CaseHeader:
    header = CaseHeader()
    header.set_case(CaseTitle("lung nodule", 0.87, 2.9, "case 3f2a", "demo", CAUTION))
    return header


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(900, 40)
    widget.show()
    app.exec()
