"""The guarantee badge by itself."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.guarantee import GuaranteeBadge

DETAILS = """sum of the map over all cells + bias = score, before the sigmoid
sum of the map: 1.28314, bias: −0.50021, score: 0.78293
Relative difference: 1.4e-07.
A cell sees 3 × 691 × 691 px of the model's input, 2.4 × 553 × 553 mm."""


def build() -> GuaranteeBadge:
    badge = GuaranteeBadge()
    badge.set_guarantee(
        words="This map adds up exactly to the score.",
        holds=True,
        residual=1.4e-7,
        where_words="Every cell saw the whole slice: the map cannot tell where in the slice the evidence lay.",
        details=DETAILS,
    )
    return badge


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(380, 200)
    widget.show()
    app.exec()
