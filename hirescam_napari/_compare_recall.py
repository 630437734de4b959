"""Comparisons of saved views, shown again: from what is at hand, else worked out anew, else said in words."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hirescam_napari.views.compare import SheetChoice
from training.cohort.results import CohortStore
from training.explain.result import Explanation

if TYPE_CHECKING:
    from hirescam_napari._compare import Comparer

KEPT = 32
"""Results of second models that are held for views to come back to; each takes some 100 KB to some MB."""


class Recaller:
    """Brings back what :attr:`hirescam_napari._cells.GridPlan.about` says.

    Parameters
    ----------
    comparer
        Shows it.
    """

    def __init__(self, comparer: Comparer) -> None:
        self.comparer = comparer
        self._others: OrderedDict[tuple[str, str], Explanation] = OrderedDict()

    def remember(self, other: Explanation) -> None:
        """Hold the result of a second model, by CT and model."""
        key = (_pixels(other), other.model.sha256)
        self._others[key] = other
        self._others.move_to_end(key)
        while len(self._others) > KEPT:
            self._others.popitem(last=False)

    def recall(
        self, wanted: Mapping[str, Any] | None, then: Callable[[], object], store: CohortStore | None = None
    ) -> None:
        """Show ``wanted`` and call ``then`` once it stands.

        Methods, placements, and models and sheets that are still at hand stand at once. A second model that the panel
        offers by name is run again, a sheet is made again if its cohort is open or is ``store``; where that cannot be,
        the single view stands and the panel says what is missing.

        Parameters
        ----------
        wanted
            None for the single view.
        """
        kind = None if wanted is None else wanted.get("kind")
        if wanted is None:
            self._single("", then)
        elif kind in ("methods", "placements"):
            self.comparer.panel.set_mode(kind)
            self.comparer.start()
            then()
        elif kind == "models":
            self._recall_models(wanted["models"][1], then)
        elif kind == "cases":
            self._recall_sheet(wanted, then, store)
        else:
            self._single(f"This version cannot show the comparison of this view ({kind}).", then)

    def _single(self, words: str, then: Callable[[], object]) -> None:
        self.comparer.stop()
        if words:
            self.comparer.panel.set_status(words)
        then()

    def _recall_models(self, model: Mapping[str, str], then: Callable[[], object]) -> None:
        comparer, first = self.comparer, self.comparer.controller.case.explanation
        pixels = "" if first is None else _pixels(first)
        known = self._others.get((pixels, model["sha256"]))
        if known is not None and (pixels or known is comparer.other):
            comparer.set_other(known)
            then()
            return
        comparer.panel.set_mode("models")
        offered = comparer.panel.second.findData(model["name"]) >= 0
        job = comparer.run_second(model["name"]) if offered else None
        if job is None:
            self._single(_missing_model(model), then)
        else:
            job.succeeded.connect(lambda made: self._on_run(made, model, then))

    def _on_run(self, made: Explanation, model: Mapping[str, str], then: Callable[[], object]) -> None:
        if made.model.sha256 == model["sha256"]:
            then()
        else:
            self._single(_missing_model(model), then)

    def _recall_sheet(self, wanted: Mapping[str, Any], then: Callable[[], object], store: CohortStore | None) -> None:
        cohort = self.comparer.cohort
        if cohort.sheet is not None and cohort.sheet.about == dict(wanted):
            self.comparer.show_sheet()
            then()
            return
        at_hand = [one for one in (cohort.store, store) if one is not None and one.sha256 == wanted["store"]["sha256"]]
        if not at_hand:
            name = wanted["store"]["name"]
            self._single(f"This view showed cases of the cohort {name}. Open it here to see them again.", then)
            return
        choice = SheetChoice(wanted["order"], len(wanted["cases"]), wanted["with_cts"])
        job = cohort.make(at_hand[0], wanted["label"], wanted["methods"][0], wanted["placement"], choice)
        job.succeeded.connect(lambda _sheet: then())


def _missing_model(model: Mapping[str, str]) -> str:
    return (
        f"This view compared with the model {model['name']} (SHA-256 {model['sha256'][:12]}). Run its checkpoint or "
        "open its stored result here, then restore the view again."
    )


def _pixels(explanation: Explanation) -> str:
    """Return the hash of the CT; empty where the result does not say."""
    return str(explanation.provenance.get("pixels_sha256", ""))
