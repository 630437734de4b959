"""Run a network's trunk over a CT, chunk by chunk, and its head once: the only place where the network runs."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.issues import Cancelled, InputError, Issue, error, warning
from training.models.heads import AxialHead
from training.models.model import Model
from training.models.network import Network
from training.preprocess import ModelInput

Precision = Literal["fp32", "bf16", "fp64"]
Floats = npt.NDArray[np.floating]
DEVICES = ("auto", "cuda", "mps", "cpu")

CPU_CHUNK_PX = 420 * 420
"""Pixels of slice groups per chunk on a CPU: one full-size group, 14 G operations, so that cancelling takes well under
a second; two at a time were a sixth faster, more were slower."""
GPU_CHUNK_PX = 45 * 420 * 420
"""Pixels of slice groups per chunk on a GPU: 45 full-size groups, under 4 GB in fp32."""


@dataclass(frozen=True, eq=False)
class TrunkOutput:
    """What the network computed for one CT.

    Parameters
    ----------
    z
        float32 [H, F, D1, D2]; like the scores, float64 where the precision is ``fp64``.
    scores
        float32 [M], before the sigmoid, as the network's head computed them.
    slice_scores
        float32 [M, H], or None where the head has no score per slice group.
    device, precision, chunk
        Where and how it ran in the end; ``chunk`` is in slice groups.
    notices
        Warnings for the user, such as running out of GPU memory.
    """

    z: Floats
    scores: Floats
    slice_scores: Floats | None
    device: str
    precision: str
    chunk: int
    notices: tuple[Issue, ...] = ()


@dataclass
class _Plan:
    """Where and in what chunks to run; changes when a device fails."""

    device: torch.device
    precision: Precision
    chunk: int
    notices: list[Issue]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights, the input and Z."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    def can_retreat(self, reason: RuntimeError) -> bool:
        """Return True if there is something left to try: smaller chunks, or the CPU."""
        return self.device.type != "cpu" or (isinstance(reason, torch.OutOfMemoryError) and self.chunk > 1)

    def retreat(self, reason: RuntimeError) -> None:
        """After a failure: halve the chunk if memory ran out, else and with one slice group left go to the CPU."""
        if isinstance(reason, torch.OutOfMemoryError) and self.chunk > 1:
            self.chunk //= 2
            self._note(f"{self.device.type} memory ran out; continued with {self.chunk} slice groups at a time.")
        else:
            self.to_cpu(reason)

    def to_cpu(self, reason: RuntimeError) -> None:
        """After a failure: go to the CPU."""
        what = "memory ran out" if isinstance(reason, torch.OutOfMemoryError) else _first_line(reason)
        self._note(f"{self.device.type} failed ({what}); continued on the CPU.")
        self.device = torch.device("cpu")

    def _note(self, text: str) -> None:
        way_out = "The result is complete. Closing other programs may make the next run faster."
        self.notices.append(warning("device-failed", text, way_out))


def run(
    model: Model,
    model_input: ModelInput,
    device: str = "auto",
    precision: Precision = "fp32",
    chunk: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> TrunkOutput:
    """Run ``model`` on ``model_input``.

    Slice groups that are air throughout are computed once. ``progress(done, total)`` counts the slice groups that are
    computed and is called after every chunk; ``cancelled()`` is asked before every chunk. The network runs as a copy:
    the model is as it was afterwards, whatever happens.

    Parameters
    ----------
    device
        ``auto`` takes cuda, mps or cpu, whichever is there first. A device that is missing or fails falls back to the
        CPU with a notice.
    precision
        ``bf16`` runs the trunk under autocast; Z and the head stay float32. ``fp64`` runs trunk and head in float64,
        for checks: several times slower and twice the memory.
    chunk
        Slice groups per step; by default as many as fit comfortably (GPU) or one full-size group's worth (CPU).

    Raises
    ------
    InputError
        If device or precision have unknown names, or the input was made for another specification.
    Cancelled
        If ``cancelled()`` returned True.
    """
    _check(model, model_input, device, precision, chunk)
    plan = _make_plan(model_input, device, precision, chunk)
    padding = np.flatnonzero(model_input.padding_groups())
    indices = np.setdiff1d(np.arange(model_input.spec.n_groups), padding[1:])
    stop = cancelled or _never
    parts: Floats = np.empty(0)
    done = 0
    for at, values in _chunks(model.network, model_input, indices, plan, stop):
        parts = parts if done else np.empty((model_input.spec.n_groups, *values.shape[1:]), values.dtype)
        parts[at] = values
        done += len(at)
        if progress is not None:
            progress(done, len(indices))
    parts[padding[1:]] = parts[padding[:1]]
    z = _combined(model.network, parts, plan, stop) if model.network.joins_slices else parts
    scores, slice_scores = _through_head(model, z)
    return TrunkOutput(z, scores, slice_scores, plan.device.type, precision, plan.chunk, tuple(plan.notices))


def _check(model: Model, model_input: ModelInput, device: str, precision: str, chunk: int | None) -> None:
    if device.split(":")[0] not in DEVICES:
        raise InputError(error("device-unknown", f"no device is called {device!r}.", f"Use {', '.join(DEVICES)}."))
    if precision not in get_args(Precision):
        way_out = f"Use {', '.join(get_args(Precision))}."
        raise InputError(error("precision-unknown", f"no precision is called {precision!r}.", way_out))
    if chunk is not None and chunk < 1:
        raise InputError(error("chunk-size", f"a chunk of {chunk} slice groups is too small.", "Use 1 or more."))
    if model_input.spec != model.input_spec:
        way_out = "Prepare the CT with this model's own input specification."
        raise InputError(error("input-spec-mismatch", "the input was prepared for another model.", way_out))


def find_device(name: str = "auto") -> tuple[torch.device, tuple[Issue, ...]]:
    """Return the device to use and notices: cuda, mps, cpu in that order for ``auto``, the CPU for what is missing."""
    with warnings.catch_warnings(record=True) as caught:  # a broken driver makes itself known by a warning
        warnings.simplefilter("always")
        there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind = next(k for k, ok in there.items() if ok) if name == "auto" else name.split(":")[0]
    if there[kind] and not (caught and kind == "cpu" and name != "cpu"):
        return torch.device(kind if name == "auto" else name), ()
    wanted = "a GPU" if name == "auto" else name
    reason = f" ({str(caught[0].message).splitlines()[0]})" if caught else ""
    notice = warning("device-missing", f"{wanted} is not usable{reason}; used the CPU.", "Check the GPU's driver.")
    return torch.device("cpu"), (notice,)


def _make_plan(model_input: ModelInput, name: str, precision: Precision, chunk: int | None) -> _Plan:
    device, notices = find_device(name)
    if device.type == "mps" and precision == "fp64":
        text = "this GPU cannot compute in float64; used the CPU."
        device, notices = torch.device("cpu"), (*notices, warning("device-missing", text, "Use fp32 to use the GPU."))
    _, rows, columns = model_input.spec.shape
    budget = CPU_CHUNK_PX if device.type == "cpu" else GPU_CHUNK_PX
    size = chunk or min(model_input.spec.n_groups, max(1, budget // (rows * columns)))
    return _Plan(device, precision, size, list(notices))


def _chunks(
    network: Network,
    model_input: ModelInput,
    indices: npt.NDArray[np.intp],
    plan: _Plan,
    cancelled: Callable[[], bool],
) -> Iterator[tuple[npt.NDArray[np.intp], Floats]]:
    """Yield (slice groups, their Z) for all ``indices``; a failed chunk is tried again as ``plan`` then says."""
    worker: Network | None = None
    start = 0
    while start < len(indices):
        if cancelled():
            raise Cancelled("The run was cancelled.")
        at = indices[start : start + plan.chunk]
        failure: RuntimeError | None = None
        try:
            worker = worker if worker is not None else _worker(network, plan)
            values = _features(worker, model_input.groups(at), plan)
        except RuntimeError as reason:
            if not plan.can_retreat(reason):
                raise
            failure = reason.with_traceback(None)  # a traceback would keep the failed chunk's memory
        if failure is None:
            yield at, values
            start += len(at)
        else:
            worker = _recover(worker, plan, failure)


def _recover(worker: Network | None, plan: _Plan, failure: RuntimeError) -> Network | None:
    """Let ``plan`` retreat; return the worker if it is still of use."""
    device = plan.device
    plan.retreat(failure)
    if device.type == "cuda" and isinstance(failure, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
    return worker if plan.device == device else None


def _worker(network: Network, plan: _Plan) -> Network:
    """Return a copy of ``network`` that is ready to run as ``plan`` says."""
    copied: Network = copy.deepcopy(network).eval().requires_grad_(False)
    copied.to(device=plan.device, dtype=plan.dtype)
    for module in copied.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)
    return copied


def _features(worker: Network, groups: npt.NDArray[np.float32], plan: _Plan) -> Floats:
    x = torch.from_numpy(groups).to(plan.device, plan.dtype).contiguous(memory_format=torch.channels_last)
    return _computed(worker.features, x, plan)


def _combined(network: Network, parts: Floats, plan: _Plan, cancelled: Callable[[], bool]) -> Floats:
    """Return Z of what all slice groups gave; if the device fails, from the CPU."""
    if cancelled():
        raise Cancelled("The run was cancelled.")
    try:
        return _computed(_worker(network, plan).combine, torch.from_numpy(parts).to(plan.device), plan)
    except RuntimeError as reason:
        if plan.device.type == "cpu":
            raise
        plan.to_cpu(reason)
    return _computed(_worker(network, plan).combine, torch.from_numpy(parts), plan)


def _computed(step: Callable[[Tensor], Tensor], x: Tensor, plan: _Plan) -> Floats:
    """Return one step of the network as an array, computed as ``plan`` says."""
    bf16 = torch.autocast(plan.device.type, torch.bfloat16) if plan.precision == "bf16" else nullcontext()
    with torch.inference_mode(), bf16, _full_fp32(plan.device):
        values = step(x)
    return values.to(plan.dtype).cpu().contiguous().numpy()


def _full_fp32(device: torch.device) -> AbstractContextManager[None]:
    """On CUDA, convolutions in full float32 rather than in the 10-bit TF32 that cuDNN uses unasked."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if device.type == "cuda" else nullcontext()


def _through_head(model: Model, z: Floats) -> tuple[Floats, Floats | None]:
    """Return the head's scores [M] and slice scores [M, H], computed on the CPU in Z's type."""
    if not np.isfinite(z).all():
        text = "the network's output is not finite for this CT."
        raise InputError(error("not-finite", text, "Check the checkpoint; with bf16, try fp32."))
    values = torch.from_numpy(z)
    head = copy.deepcopy(model.network.head).eval().cpu().to(values.dtype)
    with torch.inference_mode():
        scores = head(values).numpy()
        per_slice = head.slice_scores(values).T.contiguous().numpy() if isinstance(head, AxialHead) else None
    return scores, per_slice


def _never() -> bool:
    return False


def _first_line(reason: BaseException) -> str:
    return (str(reason) or type(reason).__name__).splitlines()[0]
