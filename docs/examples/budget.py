"""The score budget by itself."""

from qtpy.QtWidgets import QApplication

from hirescam_napari.views.budget import Budget, BudgetPanel, BudgetRow


def build() -> BudgetPanel:
    panel = BudgetPanel()
    places = (
        BudgetRow("allowed: left lung", 3.78, -0.07),
        BudgetRow("other organs", 0.61, -0.16),
        BudgetRow("rest of the body", 0.9, -0.19),
        BudgetRow("outside the body", 0.01, -0.03),
    )
    panel.set_budget(Budget("pleural effusion", "left lung", 0.24, -4.61, places))
    return panel


if __name__ == "__main__":
    app = QApplication([])
    widget = build()
    widget.resize(380, 300)
    widget.show()
    app.exec()
