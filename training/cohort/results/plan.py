"""What a store is to hold, known before the first case is explained; making an empty store, or knowing one again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.storage import LocalStore

from training import __version__
from training.cohort.results import layout as names
from training.cohort.results.files import Arrays, about_sha256, create_array, create_head, read_about
from training.cohort.results.layout import SCHEMA, SCHEMA_VERSION, Layout
from training.cohort.results.sources import Origin
from training.explain.result import ModelInfo
from training.io.atomic import atomic_path
from training.issues import InputError, error
from training.preprocess import InputSpec

TABLE_ARRAYS = ("truth", "sides")
"""Arrays of a row a case that come from the cohort's tables."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a store is to hold, all known before the first case is explained.

    Parameters
    ----------
    cases, splits
        Safe names and splits of the N cases.
    labels
        M names, in the model's order.
    truth, sides
        int8 and uint8 [N, M], as :mod:`training.cohort.results.layout` has them.
    model, input_spec
        The model and its input.
    layout
        Sizes.
    head
        (weights [M, F, D1, D2], bias [M]) of a head of one fully connected layer, else None.
    made_with
        Settings, as plain JSON types; a store is continued with equal ones only.
    origin
        The cohort.
    """

    cases: Sequence[str]
    splits: Sequence[str]
    labels: tuple[str, ...]
    truth: npt.NDArray[np.int8]
    sides: npt.NDArray[np.uint8]
    model: ModelInfo
    input_spec: InputSpec
    layout: Layout
    head: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None
    made_with: Mapping[str, Any]
    origin: Origin

    def cases_csv(self) -> bytes:
        """Return ``cases.csv``: the names of the cases and their splits."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(
            [("case", "split"), *zip(self.cases, self.splits, strict=True)]
        )
        return stream.getvalue().encode()

    def attributes(self) -> dict[str, Any]:
        """Return the metadata of the store; equal plans have equal ones."""
        truth = hashlib.sha256(self.truth.tobytes() + self.sides.tobytes()).hexdigest()
        about = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "software": f"hirescam {__version__}",
            "intended_use": "research only, not for clinical use",
            "labels": list(self.labels),
            "model": self.model.to_dict(),
            "input_spec": self.input_spec.to_dict(),
            "layout": self.layout.to_dict(),
            "made_with": dict(self.made_with),
            "cases_sha256": hashlib.sha256(self.cases_csv()).hexdigest(),
            "truth_sha256": truth,
        }
        found = dict(json.loads(json.dumps(about)))
        return {**found, "sha256": about_sha256(found)}

    @property
    def head_arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """The head's arrays by name, none if the head is not the same for all cases."""
        return dict(zip(("weights", "bias"), self.head or (), strict=False))


def create_store(path: Path, plan: Plan) -> None:
    """Make an empty store at ``path``, completely or not at all.

    Raises
    ------
    InputError
        If the place is not writable.
    FileExistsError
        If something is there already.
    """
    with atomic_path(path, overwrite=False) as folder:
        zarr.create_group(LocalStore(folder), zarr_format=3, attributes=plan.attributes())
        for name in plan.layout.arrays():
            create_array(folder, name, plan.layout)
        for name, values in plan.head_arrays.items():
            create_head(folder, name, np.ascontiguousarray(values))
        for name in TABLE_ARRAYS:
            Arrays(folder, plan.layout).write(name, range(plan.layout.n_cases), getattr(plan, name))
        (folder / names.CASES_FILE).write_bytes(plan.cases_csv())
        (folder / names.DETAILS_FOLDER).mkdir()
        (folder / names.PENDING_FOLDER).mkdir()
        plan.origin.write(folder, path)


def check_same(path: Path, plan: Plan) -> None:
    """Refuse to continue a store that was made of other cases, by another model or with other settings.

    A model may be called otherwise than when the store was begun: its hash tells it.

    Raises
    ------
    InputError
        Naming what differs; or the store's metadata are damaged.
    """
    differing = _differences(read_about(path), plan.attributes())
    if differing:
        fact = f"is a store that was begun with {' and '.join(differing)}; it is left as it is"
        way_out = "Choose another folder, or give what it was begun with."
        raise InputError(error("other-store", fact, way_out, path.name))


def _differences(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return in words with what else the store was begun; what follows from that is not told."""
    differing = {key for key in wanted if _nameless(kept.get(key)) != _nameless(wanted[key])}
    settings = _changed(_settings(kept), _settings(wanted))
    found = ["another model"] if "model" in differing else []
    found += [f"--{name} {before} (now {now})" for name, before, now in settings]
    if "cases_sha256" in differing and "split" not in [name for name, _, _ in settings]:
        found.append("another list of cases")
    elif "truth_sha256" in differing and not found:
        found.append("another ground truth")
    rest = [words for key, words in _WORDS.items() if key in differing]
    return found or rest


def _settings(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by the names of the command's options."""
    made_with = {_OPTIONS.get(name, name): value for name, value in about["made_with"].items()}
    return {**made_with, "keep": about["layout"]["z_dtype"]}


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    return [(name, _shown(before.get(name)), _shown(now.get(name))) for name in names]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={','.join(v) if isinstance(v, list) else v}" for name, v in value.items())
    return (" ".join(map(str, value)) or "all") if isinstance(value, list) else str(value)


def _nameless(value: Any) -> Any:
    return {key: one for key, one in value.items() if key != "name"} if isinstance(value, dict) else value


_OPTIONS = {"splits": "split"}

_WORDS = {"labels": "other labels", "input_spec": "another model input", "layout": "arrays of another size"}
