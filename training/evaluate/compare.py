"""What the paper compares in figures 1, 5, 11 and 14: methods, models, placements of a case, and cases of a cohort.

Methods disagree where Grad-CAM's mass lies in the wrong organ and HiResCAM's in the right one (figure 1). Models are
compared on one case by probability, ratio to each model's mean, and score budget (figure 14). All of it is closed form.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from training.explain.budget import ScoreBudget, place_shares, score_budget
from training.explain.display import Display, relu_max
from training.explain.result import METHODS, Explanation, Method
from training.geometry import FloatArray
from training.issues import Cancelled, InputError, error
from training.labels import display_name, find_label, is_known
from training.partition.cells import OrganCells

if TYPE_CHECKING:
    from training.cohort.results import CohortStore

Which = Literal["predicted", "present", "all"]
WHICH: tuple[Which, ...] = ("predicted", "present", "all")
Order = Literal["probability", "disagreement"]

DEFAULT_THRESHOLD = 0.5
"""Probability from which a label counts as predicted where the model states no threshold."""

DIFFERENCE_WORDS = "HiResCAM minus Grad-CAM, each cut at 0 and divided by its own maximum"
"""The two have different units, so that only their shapes can be subtracted."""

DISAGREEMENT_WORDS = (
    "Disagreement: 1 where all of HiResCAM's lies in the right organ and all of Grad-CAM's in wrong ones, −1 for the "
    "reverse, 0 where neither does so more."
)
"""What :class:`Disagreement` counts, and its range."""

SidesOf = Callable[[str], frozenset[str]]


@dataclass(frozen=True)
class MassShares:
    """Where the positive mass of a map lies: shares that add up to 1, or zeros where there is none."""

    allowed: float
    other_organs: float
    elsewhere: float


@dataclass(frozen=True)
class Disagreement:
    """How far the two methods disagree about one label of one case.

    ``value`` is the chance that, of one unit of evidence drawn from each map, HiResCAM's lies in the organ where the
    label may be and Grad-CAM's in another organ, minus the chance of the reverse: between -1 and 1, 1 if Grad-CAM
    shows the wrong organ throughout and HiResCAM the right one.
    """

    label: str
    probability: float
    hirescam: MassShares
    gradcam: MassShares
    case: str = ""

    @property
    def value(self) -> float:
        """h_allowed * g_other - g_allowed * h_other."""
        return self.hirescam.allowed * self.gradcam.other_organs - self.gradcam.allowed * self.hirescam.other_organs


def no_sides(_label: str) -> frozenset[str]:
    """Say that nothing is known of the side of any label."""
    return frozenset()


def method_disagreements(
    explanation: Explanation,
    cells: OrganCells,
    labels: Sequence[str] | None = None,
    sides_of: SidesOf = no_sides,
) -> list[Disagreement]:
    """Return the labels of one case, those first about which the methods disagree most.

    Parameters
    ----------
    cells
        Organs on the maps' cells.
    labels
        All that are among the 80 by default; others have no place.
    sides_of
        Gives the lungs in which a label is, if that is known.

    Raises
    ------
    InputError
        If the model has no maps.
    """
    wanted = [name for name in (explanation.labels if labels is None else labels) if is_known(name)]
    places = _Places(cells, sides_of)
    shares = {method: _shares_of(explanation, method, wanted, places) for method in METHODS}
    found = [
        Disagreement(
            name, _probability(explanation, name), shares["hirescam"][i], shares["gradcam"][i], explanation.case_id
        )
        for i, name in enumerate(wanted)
    ]
    return sorted(found, key=lambda one: (-one.value, one.label))


class _Places:
    """Shares of every cell at the places of a label; the same object for all labels of one place."""

    def __init__(self, cells: OrganCells, sides_of: SidesOf) -> None:
        self._cells, self._sides_of = cells, sides_of
        self._made: dict[tuple[str, frozenset[str]], npt.NDArray[np.float64]] = {}

    def of(self, label: str) -> npt.NDArray[np.float64]:
        """Return [3, cells]: allowed organ, other organs, elsewhere."""
        group = find_label(label).organ_group
        key = (group, self._sides_of(label) if group == "lung" else frozenset())
        if key not in self._made:
            four = place_shares(
                self._cells.allowed_share(label, key[1]), self._cells.organ_share, self._cells.body
            ).reshape(4, -1)
            self._made[key] = np.stack([four[0], four[1], four[2] + four[3]])
        return self._made[key]


def _shares_of(explanation: Explanation, method: Method, labels: Sequence[str], places: _Places) -> list[MassShares]:
    return [_mass_shares(explanation.map(name, method, signed=False).reshape(-1), places.of(name)) for name in labels]


def _mass_shares(mass: npt.NDArray[np.float32], places: npt.NDArray[np.float64]) -> MassShares:
    by_place = places @ mass.astype(np.float64)
    total = float(by_place.sum())
    if total <= 0:
        return MassShares(0.0, 0.0, 0.0)
    allowed, other, elsewhere = (float(value) / total for value in by_place)
    return MassShares(allowed, other, elsewhere)


def _probability(explanation: Explanation, label: str) -> float:
    return float(explanation.probabilities[explanation.index(label)])


def cohort_disagreements(
    store: CohortStore,
    which: Which = "predicted",
    labels: Sequence[str] | None = None,
    most: int = 100,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Disagreement]:
    """Return the ``most`` pairs of case and label about which the methods disagree most, over a whole cohort.

    Parameters
    ----------
    which
        ``predicted``: probabilities from the model's threshold up; ``present``: where the label is known to be there;
        ``all`` pairs.
    labels
        All by default.
    progress
        Called with (cases done, cases, "comparing methods").
    cancelled
        Asked before every case.

    Raises
    ------
    InputError
        If no case has organs on its cells, or nothing is known of any case and ``present`` is asked for.
    Cancelled
        ``cancelled`` said so.
    """
    if which == "present" and store.truth is None:
        raise InputError(error("no-truth", "nothing is known of any case", "Choose predicted labels.", store.path.name))
    best: list[tuple[float, int, Disagreement]] = []
    any_organs = False
    for done, case in enumerate(store.cases):
        if cancelled is not None and cancelled():
            raise Cancelled
        cells = store.organ_cells(case)
        any_organs |= cells is not None
        wanted = pairs_of(store, case, which, labels) if cells is not None else []
        if cells is not None and wanted:
            found = method_disagreements(store.explanation(case), cells, wanted, _sides_in(store, case))
            for n, one in enumerate(found):
                heapq.heappush(best, (one.value, -(done * len(store.labels) + n), one))
                if len(best) > most:
                    heapq.heappop(best)
        if progress is not None:
            progress(done + 1, len(store.cases), "comparing methods")
    if not any_organs:
        way_out = "Run `hirescam batch` with organs."
        raise InputError(error("no-organs", "no case has organ masks", way_out, store.path.name))
    return [one for _, _, one in sorted(best, key=lambda item: (-item[0], -item[1]))]


def _sides_in(store: CohortStore, case: str) -> SidesOf:
    return lambda label: store.sides_of(case, label)


def pairs_of(store: CohortStore, case: str, which: Which, labels: Sequence[str] | None = None) -> list[str]:
    """Return the labels of ``case`` that ``which`` asks for; arguments as :func:`cohort_disagreements`."""
    row = store.position(case)
    wanted = store.labels if labels is None else tuple(labels)
    if which == "all":
        return list(wanted)
    if which == "present":
        truth = store.truth
        return [name for name in wanted if truth is not None and truth[row, store.index(name)] == 1]
    return [
        name
        for name in wanted
        if store.probabilities[row, store.index(name)] >= store.thresholds.get(name, DEFAULT_THRESHOLD)
    ]


def method_difference(explanation: Explanation, label: str | int) -> Display:
    """Return where HiResCAM shows more (positive) or less than Grad-CAM, in -1 .. 1, as it is drawn.

    Raises
    ------
    InputError
        If the model has no maps.
    """
    values = relu_max(explanation.map(label, "hirescam")) - relu_max(explanation.map(label, "gradcam"))
    return Display(np.asarray(values, dtype=np.float32), (-1.0, 1.0), "diverging", DIFFERENCE_WORDS)


@dataclass(frozen=True)
class ModelPair:
    """What two models say of one label of the same CT; ``ratios`` are to each model's own mean probability."""

    label: str
    probabilities: tuple[float, float]
    ratios: tuple[float | None, float | None]
    scores: tuple[float, float]

    @property
    def difference(self) -> float:
        """Second minus first probability."""
        return self.probabilities[1] - self.probabilities[0]


def check_comparable(first: Explanation, second: Explanation) -> None:
    """Refuse two results that do not belong together.

    Raises
    ------
    InputError
        If they were made from different CTs, or have no label in common.
    """
    pixels = [one.provenance.get("pixels_sha256", "") for one in (first, second)]
    if all(pixels) and pixels[0] != pixels[1]:
        fact = "the two results were made from different CTs"
        raise InputError(error("other-ct", fact, "Run the second model on the CT that is open."))
    if not set(first.labels) & set(second.labels):
        fact = f"models {first.model.name} and {second.model.name} have no abnormality in common"
        raise InputError(error("no-common-label", fact, "Choose models with the same labels."))


def compare_models(first: Explanation, second: Explanation) -> list[ModelPair]:
    """Return the labels that both models have, those first whose probabilities differ most.

    Raises
    ------
    InputError
        As for :func:`check_comparable`.
    """
    check_comparable(first, second)
    both = [name for name in first.labels if name in second.labels]
    found = [
        ModelPair(
            name,
            (_probability(first, name), _probability(second, name)),
            (first.ratio_to_mean(name), second.ratio_to_mean(name)),
            (float(first.scores[first.index(name)]), float(second.scores[second.index(name)])),
        )
        for name in both
    ]
    return sorted(found, key=lambda one: (-abs(one.difference), one.label))


def budget_of_label(
    explanation: Explanation, cells: OrganCells, label: str, sides: frozenset[str] = frozenset()
) -> ScoreBudget:
    """Return where the score of ``label`` came from.

    Raises
    ------
    KeyError
        If the label is not one of the 80.
    InputError
        If the model has no maps.
    """
    shares = place_shares(cells.allowed_share(label, sides), cells.organ_share, cells.body)
    return score_budget(explanation.map(label), float(explanation.bias[explanation.index(label)]), shares)


def placement_shift_mm(explanation: Explanation) -> FloatArray:
    """Return how far the stretched drawing stands from where the cells look, mm, [D1, D2, 2] (down, across).

    Along the slice axis the two placements of a network that takes slices in groups agree.
    """
    looked, drawn = explanation.geometry(placement="receptive_field"), explanation.geometry(placement="stretch")
    _, rows, columns = explanation.cells.n_cells
    index = np.stack(np.meshgrid([0], np.arange(rows), np.arange(columns), indexing="ij"), axis=-1)[0]
    shift = (drawn.to_world(index) - looked.to_world(index)) @ looked.direction
    return np.asarray(shift[..., 1:], dtype=np.float64)


def shift_words(explanation: Explanation) -> str:
    """Return in one sentence how far the two placements are apart."""
    shift = placement_shift_mm(explanation)
    if not np.abs(shift).max() > 0.05:
        return "Both placements are the same for this model."
    down, across = np.abs(shift).max(axis=(0, 1))
    far = float(np.linalg.norm(shift, axis=-1).max())
    return (
        f"The stretched drawing stands up to {down:.0f} mm (down) and {across:.0f} mm (across) from where the cells "
        f"look, {far:.0f} mm at the corners."
    )


@dataclass(frozen=True)
class SheetEntry:
    """One case of a contact sheet: ``group`` is the slice group with the highest score, ``truth`` 1, 0 or -1."""

    case: str
    probability: float
    group: int
    value: float
    truth: int = -1


def sheet_entries(
    store: CohortStore,
    label: str,
    order: Order = "probability",
    most: int = 12,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    pairs: Which = "all",
) -> list[SheetEntry]:
    """Return the first ``most`` cases for a contact sheet of ``label``.

    Parameters
    ----------
    order
        ``probability``: highest first; ``disagreement``: where the methods disagree most (:class:`Disagreement`).
    pairs
        Which cases, as for :func:`cohort_disagreements`.

    Raises
    ------
    KeyError
        If the model has no such label.
    InputError, Cancelled
        As for :func:`cohort_disagreements`.
    """
    column = store.index(label)
    if order == "probability" and pairs == "all":
        ranked = np.argsort(-store.probabilities[:, column], kind="stable")[:most]
        rows = [(store.cases[int(n)], float(store.probabilities[int(n), column])) for n in ranked]
    else:
        found = cohort_disagreements(store, pairs, [label], len(store.cases), progress, cancelled)
        rows = [(one.case, one.value) for one in found]
        if order == "probability":
            known = [(case, float(store.probabilities[store.position(case), column])) for case, _ in rows]
            rows = sorted(known, key=lambda row: -row[1])
        rows = rows[:most]
    return [_entry(store, case, column, value) for case, value in rows]


def _entry(store: CohortStore, case: str, column: int, value: float) -> SheetEntry:
    row = store.position(case)
    truth = -1 if store.truth is None else int(store.truth[row, column])
    group = int(store.slice_scores(case)[column].argmax())
    return SheetEntry(case, float(store.probabilities[row, column]), group, value, truth)


def disagreement_rows(found: Sequence[Disagreement]) -> Iterator[Mapping[str, object]]:
    """Yield one row per disagreement, plain types, for tables."""
    for one in found:
        yield {
            "case": one.case,
            "label": one.label,
            "display_name": display_name(one.label),
            "disagreement": one.value,
            "probability": one.probability,
            **{
                f"{method}_{place}": getattr(getattr(one, method), place)
                for method in METHODS
                for place in ("allowed", "other_organs", "elsewhere")
            },
        }
