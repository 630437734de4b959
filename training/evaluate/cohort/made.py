"""How an evaluation was made: when, by which versions and settings, of which stores and tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.cohort.results import CohortStore, open_store
from training.cohort.run_report import content_entry, now, store_facts, versions
from training.evaluate.cohort.organs import evaluation_file

if TYPE_CHECKING:
    from training.evaluate.cohort.run import EvaluateSettings


def made_of(path: Path, plan: EvaluateSettings) -> dict[str, Any]:
    """Return time, versions, stores by what they are for, and settings, as plain JSON types.

    Stores are named, with their hash and model; tables have a size and a hash, no name, as that may hold a patient's.

    Raises
    ------
    InputError
        If a store is none.
    """
    given = {"evaluated": path, "against": plan.against, "random": plan.random}
    stores = {use: _about(open_store(place)) for use, place in given.items() if place is not None}
    return {"time": now(), "versions": versions(), "stores": stores, "settings": _settings(plan)}


def _about(store: CohortStore) -> dict[str, Any]:
    facts = store_facts(store, ())
    return {**facts["store"], "model": facts["model"]}


def _settings(plan: EvaluateSettings) -> dict[str, Any]:
    tables = {
        "truth": plan.truth,
        "lesions": plan.lesions,
        "thresholds": None if plan.thresholds is None else evaluation_file(plan.thresholds),
    }
    return {
        **{name: None if path is None else content_entry(path) for name, path in tables.items()},
        "on": plan.on,
        "lesion_label": plan.lesion_label,
        "compare": list(plan.compare),
        "resamples": plan.resampling.n,
        "seed": plan.resampling.seed,
        "level": plan.resampling.level,
    }
