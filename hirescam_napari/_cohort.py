"""One case of a cohort store as the viewer shows it: result, CT where it is found, truth, organs, report, bands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from hirescam_napari._case import Case
from hirescam_napari._checks import checked
from hirescam_napari._workers import case_of, with_explanation
from training.cohort.inputs import Origin
from training.cohort.results import CohortStore
from training.evaluate.bands import Bands, slice_score_bands
from training.explain.placement import PLACEMENTS
from training.issues import InputError, Issue, error, warning
from training.partition.reports.labels import label_report

BandsOf = Callable[[str], Bands | None]


def bands_of(store: CohortStore) -> BandsOf:
    """Return what gives the bands of a label, worked out once; share it among the cases of a store."""
    return lru_cache(maxsize=None)(partial(slice_score_bands, store))


def first_case(store: CohortStore) -> Case:
    """Return the first case of a store; raises ``InputError`` if it has none, else as :func:`stored_case`."""
    if not store.cases:
        raise InputError(error("no-cases", "no case is explained yet", "Let `hirescam batch` go on.", store.path.name))
    return stored_case(store, store.cases[0])


def stored_case(store: CohortStore, name: str, bands: BandsOf | None = None) -> Case:
    """Return the case ``name`` of a store, with its CT if that is still where the cohort was, and its regions.

    Parameters
    ----------
    bands
        From :func:`bands_of`; its own if None.

    Raises
    ------
    KeyError
        If the store has no such case.
    InputError
        If its result is missing or damaged, or the CT cannot be read or is another one than was explained.
    """
    store.position(name)
    case = assembled(store, name, *_with_ct(store, name), bands)
    case.remember_regions()
    return case


def assembled(
    store: CohortStore, name: str, case: Case, lost: tuple[Issue, ...] = (), bands: BandsOf | None = None
) -> Case:
    """Return ``case`` (a CT, or nothing) with everything that ``store`` knows of the case ``name``.

    Parameters
    ----------
    lost
        Why there is no CT.

    Raises
    ------
    InputError
        If its result is missing or damaged, or the CT is another one than was explained.
    """
    explanation = store.explanation(name).with_issues(*lost)
    placed = {place: store.organ_cells(name, place) for place in PLACEMENTS}
    text = None if lost else store.report(name)
    return replace(
        with_explanation(case, explanation),
        truth=_truth(store, name),
        cells={place: cells for place, cells in placed.items() if cells is not None},
        report=None if text is None else label_report(text),
        bands=bands or bands_of(store),
        origin=None if case.volume is None else _origin_in(store, name),
    )


def _with_ct(store: CohortStore, name: str) -> tuple[Case, tuple[Issue, ...]]:
    """Return the CT, without a result, and a warning if the cohort is not found any more."""
    volume = store.volume(name)
    if volume is not None:
        return case_of(checked(volume)), ()
    fact = "The CT is not found where the cohort was, so maps are shown without it."
    return Case(), (warning("no-ct", fact, "Put the cohort back where it was."),)


def _origin_in(store: CohortStore, name: str) -> Origin | None:
    """Return how the CT can be read again by itself, for exports and sessions; None where only its cohort can."""
    found = store.source(name)
    if found.path is None or not found.by_itself:
        return None
    return Origin(Path(found.path), None if found.series is None else int(found.series))


def _truth(store: CohortStore, name: str) -> dict[str, bool]:
    """Return what is known of the case, by label."""
    if store.truth is None:
        return {}
    row = store.truth[store.position(name)]
    return {label: bool(value) for label, value in zip(store.labels, row, strict=True) if value >= 0}
