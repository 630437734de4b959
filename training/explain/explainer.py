"""Explain a CT: prepare it, run the trunk once, and derive scores, maps and checks from Z."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from training.explain import cam, checks
from training.explain.result import METHODS, Explanation, ModelInfo
from training.issues import Cancelled, InputError, error
from training.models.execute import Precision, TrunkOutput, run
from training.models.heads import Guarantee
from training.models.model import Model
from training.preprocess import ModelInput, prepare
from training.volume import Volume

Progress = Callable[[int, int, str], None]
"""``progress(done, total, stage)``; stages are preprocess, trunk (counted in slice groups) and maps."""

MapVariant = Literal["own", "average"]
"""Which maps: the model's ``own``; or, for MaxPool alone, ``average``, those of its weights under a mean over slice
groups. The paper's authors computed MaxPool's OrganIoU from the latter, so that more than one slice group shows
something; they carry no guarantee for the model."""


def explain(
    model: Model,
    volume: Volume,
    device: str = "auto",
    precision: Precision = "fp32",
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    maps: MapVariant = "own",
) -> Explanation:
    """Return the scores and maps of all of ``model``'s labels for ``volume``.

    The network's trunk runs once; everything else follows from Z. The completeness of the maps is checked, and what
    does not hold is among the result's issues.

    Parameters
    ----------
    model
        From :func:`training.models.load_model`.
    volume
        A CT in any geometry.
    device, precision
        As for :func:`training.models.execute.run`.
    progress
        Called as ``progress(done, total, stage)``.
    cancelled
        Asked between stages, between blocks of the resampling and between chunks of the trunk.
    maps
        Which maps; ``own`` unless results of the authors' MaxPool are to be met.

    Raises
    ------
    Cancelled
        If ``cancelled()`` returned True.
    InputError
        If device or precision are unknown, the network's values are NaN or infinite, or the model has no such maps.
    """
    guarantee_of(model, maps)
    work = _Work(progress or _silent, cancelled or _never)
    with work.stage("preprocess"):
        model_input = prepare(volume, model.input_spec, work.cancelled)
    with work.stage("trunk", model.input_spec.n_groups):
        output = run(model, model_input, device, precision, progress=work.trunk_progress, cancelled=work.cancelled)
    with work.stage("maps"):
        explanation = assemble(model, volume, model_input, output, maps)
        for method in METHODS if explanation.has_maps else ():
            explanation.summary(method)
        explanation = explanation.with_issues(*checks.completeness(explanation))
    work.progress(1, 1, "maps")
    return explanation.with_cost(work.seconds, peak_rss_bytes())


def assemble(
    model: Model, volume: Volume, model_input: ModelInput, output: TrunkOutput, maps: MapVariant = "own"
) -> Explanation:
    """Return the explanation that follows from what the network computed; the trunk is not run.

    Raises
    ------
    InputError
        If the network's values are NaN or infinite, or the model has no such maps.
    """
    head = _head_of(model, output.z, guarantee_of(model, maps))
    return Explanation(
        case_id=volume.case_id,
        labels=model.labels,
        z=output.z,
        weights=head.weights,
        bias=head.bias,
        scores=output.scores.astype(np.float64),
        input_geometry=model_input.geometry,
        image_geometry=volume.geometry,
        cells=model.cells,
        model=model_info(model, maps),
        device=output.device,
        precision=output.precision,
        issues=(*volume.issues, *output.notices),
        gradient_maps=head.maps,
        computed_slice_scores=None if model.guarantee.is_linear else output.slice_scores,
        provenance=volume.provenance.to_dict(),
    )


def guarantee_of(model: Model, maps: MapVariant = "own") -> Guarantee:
    """Return what maps of ``model`` in this variant are worth.

    Raises
    ------
    InputError
        If the model has no such variant.
    """
    if maps == "own":
        return model.guarantee
    if maps == "average" and model.guarantee is Guarantee.ONE_FULLY_CONNECTED_MAX:
        return Guarantee.OTHER_POOLING
    fact = f"{model.name} has no maps of the variant {maps!r}; average is for models with a maximum over slice groups."
    raise InputError(error("map-variant", fact, "Use the variant own."))


def model_info(model: Model, maps: MapVariant = "own") -> ModelInfo:
    """Return what a result says about ``model``, as plain JSON types."""
    guarantee, metadata = guarantee_of(model, maps), model.metadata
    return ModelInfo(
        name=model.name,
        sha256=model.sha256,
        architecture=model.architecture,
        guarantee=str(guarantee),
        guarantee_words=guarantee.words,
        guarantee_details=guarantee.details,
        guarantee_holds=guarantee.holds,
        has_maps=guarantee.has_maps,
        map_variant=maps,
        mean_probability=metadata.mean_probability,
        threshold=metadata.threshold,
        input_spec=model.input_spec.to_dict(),
        training=metadata.training,
        licence=metadata.licence,
        evaluation=metadata.evaluation,
    )


class _Head(NamedTuple):
    """Weights [M, F, D1, D2], bias [M] and, where they do not follow from these, HiResCAM maps [M, H, D1, D2]."""

    weights: npt.NDArray[np.floating]
    bias: npt.NDArray[np.floating]
    maps: npt.NDArray[np.floating] | None = None


def _head_of(model: Model, z: npt.NDArray[np.floating], guarantee: Guarantee) -> _Head:
    """Return the head as weights and bias; of a linear head in float64 they are its gradient, unrounded."""
    if guarantee is Guarantee.OTHER_POOLING:
        return _Head(*model.fully_connected())
    if not guarantee.is_linear:
        head = _linearised(model.network.head, z)
        return head if guarantee.has_maps else head._replace(maps=None)
    if z.dtype == np.float64:
        return _linearised(model.network.head, z)._replace(maps=None)
    return _Head(*model.closed_form())


def _linearised(head: nn.Module, z: npt.NDArray[np.floating]) -> _Head:
    """Take the gradient of every score with respect to Z, through the head alone (equations 3 to 6)."""
    head = copy.deepcopy(head).cpu().to(torch.from_numpy(z).dtype).eval().requires_grad_(False)
    with torch.inference_mode(False), torch.enable_grad():
        leaf = torch.tensor(z, requires_grad=True)
        scores = head(leaf)
        blank = head(torch.zeros_like(leaf)).detach().numpy()
        weights, maps = [], []
        for score in scores:
            gradient = torch.autograd.grad(score, leaf, retain_graph=True)[0].numpy()
            weights.append(gradient.sum(axis=0))
            maps.append(cam.hirescam_from_gradient(z, gradient))
    return _Head(np.stack(weights), blank, np.stack(maps))


@dataclass
class _Work:
    """Progress, cancelling and the seconds of each stage."""

    progress: Progress
    cancelled: Callable[[], bool]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, total: int = 1) -> Iterator[None]:
        """Announce and time one stage; ask before and after it whether to go on."""
        self._go_on()
        self.progress(0, total, name)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
        self._go_on()

    def trunk_progress(self, done: int, total: int) -> None:
        """Pass on the trunk's own progress, in slice groups."""
        self.progress(done, total, "trunk")

    def _go_on(self) -> None:
        if self.cancelled():
            raise Cancelled("The explanation was cancelled.")


def peak_rss_bytes() -> int:
    """Return the peak resident memory of this process so far, bytes; 0 where the system does not tell (Windows)."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # the unit differs: bytes there, KiB here


def _silent(_done: int, _total: int, _stage: str) -> None:
    pass


def _never() -> bool:
    return False
