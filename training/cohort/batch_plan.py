"""What ``hirescam batch`` is to make of a cohort: its settings, and the plan of the store that follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from training.cohort.explaining import Organs
from training.cohort.results.layout import Layout, ZDtype
from training.cohort.results.plan import Plan
from training.cohort.results.sources import Origin
from training.cohort.results.store import LEFT, RIGHT
from training.cohort.sources import Record
from training.cohort.sources.options import Options, made_with
from training.explain.explainer import MapVariant, model_info
from training.issues import Issue, warning
from training.labels import find_label, is_known
from training.models import Model
from training.words import counted


@dataclass(frozen=True)
class BatchSettings:
    """What to make of a cohort.

    Parameters
    ----------
    model
        As :func:`training.models.load_model` takes it.
    kind
        Layout of the cohort; None to find out.
    splits
        Which cases; all if empty.
    device, precision
        As for :func:`training.explain.explain`.
    z_dtype
        How Z is kept.
    maps
        Which maps, see :data:`training.explain.explainer.MapVariant`.
    organs
        How organs are found where the cohort has no masks of its own; ``none`` keeps no organs.
    heuristic
        The mask that stands in for a segmentation that failed: ``paper`` or ``authors``.
    keep_names
        Call the cases as the table calls them, which may be patients' names.
    organ_cache
        Folder in which organs are kept for other models over the same cases; None keeps none.
    source
        Options of the cohort's layout, see :mod:`training.cohort.sources.options`.
    """

    model: str
    kind: str | None = None
    splits: tuple[str, ...] = ()
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    z_dtype: ZDtype = "float32"
    maps: MapVariant = "own"
    organs: Organs = "morphology"
    heuristic: Literal["paper", "authors"] = "paper"
    keep_names: bool = False
    organ_cache: Path | None = None
    source: Options = field(default_factory=dict)

    def kept(self) -> dict[str, Any]:
        """Return what changes the results, as plain JSON types."""
        names = ("splits", "precision", "maps", "organs", "heuristic")
        settings = {name: getattr(self, name) for name in names}
        return settings | ({"source": made_with(self.source)} if self.source else {})


def plan_of(
    model: Model, names: tuple[str, ...], records: Sequence[Record], settings: BatchSettings, origin: Origin
) -> Plan:
    """Return the plan of a store for ``records``, whose label columns are called ``names``."""
    linear = model.guarantee.is_linear or settings.maps == "average"
    info = model_info(model, settings.maps)
    layout = Layout(
        n_cases=len(records),
        n_labels=len(model.labels),
        cells=model.cells,
        n_features=model.z_shape[1],
        n_groups=model.input_spec.n_groups,
        z_dtype=settings.z_dtype,
        closed_form=linear,
        has_maps=info.has_maps,
        has_organs=settings.organs != "none",
    )
    head = None
    if linear:
        head = model.fully_connected() if settings.maps == "average" else model.closed_form()
    return Plan(
        cases=[record.case_id for record in records],
        splits=[record.split for record in records],
        labels=model.labels,
        truth=_truth(model.labels, names, records),
        sides=_sides(model.labels, records),
        model=info,
        input_spec=model.input_spec,
        layout=layout,
        head=head,
        made_with=settings.kept(),
        origin=origin,
    )


def _truth(labels: Sequence[str], names: Sequence[str], records: Sequence[Record]) -> npt.NDArray[np.int8]:
    truth = np.full((len(records), len(labels)), -1, dtype=np.int8)
    columns = [(m, _plain(names).index(name)) for m, name in enumerate(_plain(labels)) if name in _plain(names)]
    for n, record in enumerate(records):
        for m, column in columns:
            value = record.targets[column]
            truth[n, m] = -1 if np.isnan(value) else int(value)
    return truth


def _sides(labels: Sequence[str], records: Sequence[Record]) -> npt.NDArray[np.uint8]:
    column = {name: m for m, name in enumerate(_plain(labels))}
    sides = np.zeros((len(records), len(labels)), dtype=np.uint8)
    for n, record in enumerate(records):
        for name, own in record.sides.items():
            if name in column:
                sides[n, column[name]] = (RIGHT if "right" in own else 0) | (LEFT if "left" in own else 0)
    return sides


def _plain(names: Sequence[str]) -> list[str]:
    """Return the paper's spelling of the labels that are among the 80."""
    return [find_label(name).name if is_known(name) else name for name in names]


def unlabelled(model: Model, names: Sequence[str]) -> Iterator[Issue]:
    """Yield a warning if the cohort's columns ``names`` lack labels of the model."""
    without = set(_plain(model.labels)) - set(_plain(names))
    if without:
        fact = f"the cohort says nothing about {len(without)} of the model's {counted(len(model.labels), 'label')}"
        yield warning("no-truth", fact, "Their predictions are kept, and cannot be evaluated.")
