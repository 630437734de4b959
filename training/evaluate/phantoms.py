"""What a model is worth on phantoms, whose truth is known to the voxel: AUROC, and where its maps point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from training.cohort.phantom import Phantom
from training.evaluate.metrics import auroc_per_label, mean_applicable
from training.evaluate.pointing import (
    Lesion,
    PointingError,
    peak_mm,
    pointing_error,
    prior_point,
    summarise,
    uniform_point,
)
from training.explain import explain
from training.geometry import Geometry
from training.labels import find_label
from training.models import Model

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a model made of one phantom.

    Parameters
    ----------
    seed
        Of the phantom.
    probabilities, truth
        Shape (M,), in the order of the model's labels.
    pointing
        For every planted label: the error of the peak of its HiResCAM map, placed by receptive field.
    uniform
        The same for a map cell drawn at random.
    centres_mm
        For every planted label: the centre of its largest lesion, relative to the centre of the image, LPS mm.
    """

    seed: int
    probabilities: FloatArray
    truth: npt.NDArray[np.int_]
    pointing: Mapping[str, PointingError]
    uniform: Mapping[str, PointingError]
    centres_mm: Mapping[str, FloatArray]
    lesions: Mapping[str, Sequence[Lesion]] = field(repr=False)
    image_centre_mm: FloatArray = field(repr=False)


def lesions_of(phantom: Phantom) -> dict[str, list[Lesion]]:
    """Return the planted lesions by label, largest first."""
    found: dict[str, list[Lesion]] = {}
    geometry = phantom.volume.geometry
    for finding in phantom.findings:
        lesion = Lesion.from_voxels(finding.voxels(), geometry, finding.centre_mm)
        found.setdefault(finding.label, []).append(lesion)
    return {label: sorted(lesions, key=lambda lesion: -len(lesion.voxels_mm)) for label, lesions in found.items()}


def outcome(model: Model, phantom: Phantom) -> Outcome:
    """Return what ``model`` makes of ``phantom``, by the way any CT takes."""
    result = explain(model, phantom.volume, device="cpu")
    lesions = {k: v for k, v in lesions_of(phantom).items() if k in model.labels}
    cells = result.geometry("hirescam", "receptive_field")
    centre = image_centre_mm(phantom.volume.geometry)
    return Outcome(
        seed=phantom.seed,
        probabilities=result.probabilities,
        truth=np.array([int(name in lesions) for name in model.labels]),
        pointing={k: pointing_error(peak_mm(result.map(k), cells), v) for k, v in lesions.items()},
        uniform={
            k: pointing_error(uniform_point(cells, (phantom.seed, i)), v) for i, (k, v) in enumerate(lesions.items())
        },
        centres_mm={k: v[0].centre_mm - centre for k, v in lesions.items()},
        lesions=lesions,
        image_centre_mm=centre,
    )


def image_centre_mm(geometry: Geometry) -> FloatArray:
    """Return the LPS mm of the middle of an image."""
    return geometry.to_world((np.asarray(geometry.shape) - 1) / 2)


def prior_errors(outcomes: Sequence[Outcome], label: str) -> list[PointingError]:
    """Return the errors of pointing, in every phantom with ``label``, at the label's mean place in the others."""
    having = [o for o in outcomes if label in o.lesions]
    errors = []
    for one in having:
        others = [o.centres_mm[label] for o in having if o is not one]
        if others:
            errors.append(pointing_error(prior_point(others, one.image_centre_mm), one.lesions[label]))
    return errors


def focal(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels that the label table calls focal."""
    return tuple(name for name in labels if find_label(name).extent == "focal")


def classification_report(outcomes: Sequence[Outcome], labels: Sequence[str]) -> dict[str, Any]:
    """Return the AUROC of every label (None: not applicable) and their mean, as plain JSON types."""
    probabilities, truth = np.stack([o.probabilities for o in outcomes]), np.stack([o.truth for o in outcomes])
    per_label = auroc_per_label(probabilities, truth, labels)
    return {
        "n_phantoms": len(outcomes),
        "mean_auroc": mean_applicable(per_label),
        "auroc": per_label,
        "n_positive": dict(zip(labels, truth.sum(axis=0).tolist(), strict=True)),
    }


def pointing_report(outcomes: Sequence[Outcome], labels: Sequence[str]) -> dict[str, Any]:
    """Return pointing errors per label and over all focal labels, with the baselines, as plain JSON types."""
    chosen = focal(labels)
    model = {k: [o.pointing[k] for o in outcomes if k in o.pointing] for k in labels}
    uniform = {k: [o.uniform[k] for o in outcomes if k in o.uniform] for k in labels}
    prior = {k: prior_errors(outcomes, k) for k in labels}
    return {
        "focal_labels": list(chosen),
        "focal": {
            "model": _summary(model, chosen),
            "uniform": _summary(uniform, chosen),
            "centre_prior": _summary(prior, chosen),
        },
        "per_label": {k: _summary(model, (k,)) for k in labels},
        "per_label_centre_prior": {k: _summary(prior, (k,)) for k in labels},
    }


def _summary(errors: Mapping[str, Sequence[PointingError]], labels: Iterable[str]) -> dict[str, float] | None:
    summary = summarise([error for label in labels for error in errors[label]])
    return None if summary is None else summary.to_dict()
