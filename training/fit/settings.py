"""The settings of a training run, section by section: typed, documented, with ranges. Defaults are the paper's."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from training.models.config import Architecture


def documented(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    """Return a field with its default, its documentation and its range (both ends included)."""
    return field(default=default, metadata={"doc": text, "low": low, "high": high})


@dataclass(frozen=True)
class ModelSettings:
    """Which network is trained."""

    architecture: Architecture = documented(  # noqa: RUF009 - a dataclass field
        "axialnet", "any of `hirescam models`: axialnet (paper), axialnet-same, axialnet-local, or a network of Table 1"
    )
    width: int = documented(
        64, "channels of the trunk's first stage; 64 is ResNet-18 (conv3d: the paper's 3DConv)", 1, 256
    )
    cut_stage: int = documented(
        0, "last stage of the trunk that is kept; 0 for the architecture's own, 2 or 3 for axialnet-local only", 0, 4
    )
    custom_channels: tuple[int, ...] = documented(
        (), "outputs of the custom convolutions, last: features of Z; [] for the architecture's own", 1
    )
    trunk_weights: str = documented(
        "", "file the trunk starts from: ResNet-18 weights, or a checkpoint of this program; empty for random"
    )


@dataclass(frozen=True)
class InputSettings:
    """What the network sees of a CT; becomes the checkpoint's ``InputSpec``."""

    spacing_mm: tuple[float, float, float] = documented(
        (0.8, 0.8, 0.8), "voxel size along slice, row and column, mm", 0.1
    )
    shape: tuple[int, int, int] = documented((405, 420, 420), "voxels along slice, row and column", 1)
    clip_hu: tuple[float, float] = documented((-1000.0, 800.0), "HU outside this range are clipped")
    offset: float = documented(-0.449, "added once the clipped HU are scaled to 0..1")
    group: int = documented(3, "adjacent slices in a slice group", 1, 99)
    average: bool = documented(
        False, "average the CT over voxels larger than its own instead of sampling their centres"
    )


@dataclass(frozen=True)
class OptimizerSettings:
    """How the weights move."""

    name: Literal["sgd", "adamw"] = documented("sgd", "sgd (paper) or adamw")
    learning_rate: float = documented(1e-3, "step size; the peak of the schedule", 0.0)
    head_factor: float = documented(1.0, "the last layer's step size as a multiple of learning_rate", 0.0)
    conditioned_head: bool = documented(
        False, "train the last layer in centred coordinates; it is saved as the plain layer"
    )
    momentum: float = documented(0.99, "momentum of sgd; first beta of adamw", 0.0, 0.9999)
    weight_decay: float = documented(1e-7, "pull of the weights to zero (decoupled for adamw)", 0.0)
    schedule: Literal["constant", "one-cycle"] = documented(
        "constant", "constant (paper), or one-cycle: linear warm-up, then cosine to zero"
    )
    warmup: float = documented(0.1, "share of all steps that warm up (one-cycle)", 0.0, 1.0)
    norm_momentum: float = documented(
        0.1, "share of the newest batch in the running statistics of batch normalisation", 1e-4, 1.0
    )
    norm_frozen_after: float = documented(
        1.0, "share of the epochs after which batch normalisation uses its running statistics in training too", 0.0, 1.0
    )
    clip_norm: float = documented(0.0, "longest allowed gradient; 0 for no limit", 0.0)


@dataclass(frozen=True)
class LossSettings:
    """What is minimised: the classification loss (equation 2), and more on request."""

    positive_weight_limit: float = documented(
        1.0, "positives weigh negatives/positives of their label, at most this; 1 is the paper's unweighted loss", 1.0
    )
    mask: Literal["none", "authors", "paper", "l2"] = documented(
        "none", "mask loss: none, authors (their code), paper (equation 12, made finite) or l2"
    )
    lambda_: float = documented(1 / 3, "weight of the mask loss", 0.0)
    mask_on: Literal["hirescam", "gradcam"] = documented("hirescam", "attention that the mask loss looks at")
    mask_softening: float = documented(0.01, "constant that makes the variant paper finite, units of attention", 1e-9)
    mask_reduction: Literal["own", "sum", "mean"] = documented(
        "own", "over forbidden cells: sum, mean, or the variant's own (paper: sum, the others: mean)"
    )
    mask_absent: Literal["forbidden", "ignored"] = documented(
        "forbidden", "labels a case has not: every cell forbidden (authors), or left out of the mask loss"
    )
    mask_sides: Literal["kept", "both"] = documented(
        "kept", "lung labels with a known side: allowed in that lung (kept), or in both (authors)"
    )
    mask_placement: Literal["receptive_field", "stretch"] = documented(
        "receptive_field", "where map cells stand: by the layers' arithmetic, or stretched over the slice (paper)"
    )
    mask_downsampling: Literal["nearest", "authors", "trilinear", "area", "fraction", "any"] = documented(
        "nearest", "how organ masks become one value a cell; authors goes with mask_placement = stretch only"
    )
    mask_dilation: bool = documented(False, "dilate the organ masks by one cell in all directions")
    organs: Literal["auto", "partition", "heuristic"] = documented(
        "auto",
        "organ masks: the cohort's own where it has them, else PARTITION (auto); always PARTITION; or no "
        "segmentation, halves of the array",
    )
    heuristic: Literal["paper", "authors"] = documented(
        "paper", "masks where a segmentation fails: mediastinum is the centre half (paper) or 4 of 6 columns (authors)"
    )
    places: float = documented(
        0.0, "weight of the loss that teaches features where abnormalities are; 0 for none (paper)", 0.0
    )
    places_until: float = documented(1.0, "share of the epochs after which that loss is left out", 0.0, 1.0)


@dataclass(frozen=True)
class AugmentSettings:
    """How training CTs are varied; each case and epoch has its own draw from the seed."""

    flip_probability: float = documented(0.5, "chance to flip one axis, drawn among the three", 0.0, 1.0)
    rotate_probability: float = documented(0.5, "chance to turn all slices by 90, 180 or 270 degrees", 0.0, 1.0)
    shift_px: tuple[int, int, int] = documented((0, 0, 0), "largest shift along slice, row and column, voxels", 0)
    shift_step_px: tuple[int, int, int] = documented((1, 1, 1), "shifts are multiples of this, voxels", 1)
    hu_shift: float = documented(0.0, "largest shift of all HU", 0.0)
    hu_noise: float = documented(0.0, "largest standard deviation of added white noise, HU", 0.0)


@dataclass(frozen=True)
class RunSettings:
    """How long and on what."""

    name: str = documented("", "what the model is called in tables, figures and windows; the run's folder if empty")
    epochs: int = documented(100, "passes over the training cases at most", 1)
    patience: int = documented(15, "stop after this many epochs without a better validation loss; 0 for never", 0)
    batch_size: int = documented(1, "CTs that go through the network together, on each process", 1)
    accumulate: int = documented(1, "passes whose gradients are summed for one step of the weights", 1)
    validation_share: float = documented(
        0.1, "share of the cases kept for validation when none are given apart", 0.0, 0.9
    )
    seed: int = documented(0, "everything random follows from it", 0)
    device: Literal["auto", "cpu", "cuda", "mps"] = documented("auto", "where to compute")
    precision: Literal["fp32", "bf16"] = documented("fp32", "arithmetic of the network; weights stay fp32")
    threads: int = documented(0, "CPU threads; 0 for all cores", 0)
    workers: int = documented(2, "threads that read and vary the next CTs meanwhile; 0 to read between steps", 0, 64)
    save_minutes: float = documented(10.0, "write the state this often within an epoch; 0 for after epochs only", 0.0)
    tensorboard: bool = documented(True, "write TensorBoard's files too, beside the CSV logs")


@dataclass(frozen=True)
class SourceSettings:
    """How the cohort's tables are read (--source); each layout has its own options, and refuses those of others."""

    subset: str = documented(
        "",
        "rad-chestct: file with the NoteAcc_DEID of the cases that are taken, one a line or as a column; empty for all",
    )
    volumes: str = documented("", "rad-chestct: folder of the npz files; empty for the folder of the tables")
    labels: Literal["auto", "reports", "published"] = documented(
        "auto", "ct-rate: the 80 labels, from its reports (auto, reports), or its own 18 (published)"
    )
    validation_share: float = documented(
        0.0,
        "ct-rate: share of the training patients that becomes the split valid, its validation set then being test; "
        "0 for none",
        0.0,
        0.9,
    )
    extra_labels: tuple[str, ...] = documented((), "table: columns that are labels though they are none of the 80")

    def given(self) -> dict[str, Any]:
        """Return the options that are not as they are by default."""
        values = {item.name: (getattr(self, item.name), item.default) for item in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}


SECTIONS = (ModelSettings, InputSettings, OptimizerSettings, LossSettings, AugmentSettings, RunSettings, SourceSettings)
