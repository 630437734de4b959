"""What several commands let choose from, and the options that are the same in all of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Precision(StrEnum):
    """How the network computes."""

    FP32 = "fp32"
    BF16 = "bf16"


class Placement(StrEnum):
    """Where map cells stand."""

    RECEPTIVE_FIELD = "receptive_field"
    STRETCH = "stretch"


class Layout(StrEnum):
    """How a cohort lies on the disk."""

    PHANTOMS = "phantoms"
    TABLE = "table"
    RAD_CHESTCT = "rad-chestct"
    CT_RATE = "ct-rate"


class Stand(StrEnum):
    """The mask that stands in when a segmentation fails."""

    PAPER = "paper"
    AUTHORS = "authors"


MODEL_HELP = "Checkpoint file (.safetensors), demo, or ARCHITECTURE:random; see `hirescam models`."

ModelOption = Annotated[str, typer.Option("--model", metavar="MODEL", help=MODEL_HELP)]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where the network runs; auto: a GPU if there is one, else the CPU.")
]
PrecisionOption = Annotated[
    Precision, typer.Option("--precision", help="How the network computes; bf16 is faster on some devices, less exact.")
]
PlacementOption = Annotated[
    Placement,
    typer.Option(
        "--placement",
        help="Where map cells stand: at the middle of what they see (receptive_field), or spread over the whole slice "
        "(stretch, as the paper draws them).",
    ),
]
SeriesOption = Annotated[
    int | None,
    typer.Option(
        "--series", min=1, show_default="the only one", help="Number of the DICOM series; needed if there are several."
    ),
]
RepairOption = Annotated[
    bool, typer.Option("--repair", help="Mend faults of the CT that can be mended; each is recorded. Default: refuse.")
]
LayoutOption = Annotated[
    Layout | None, typer.Option("--kind", show_default="found out", help="How the cohort lies on the disk.")
]
SourceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="NAME=VALUE",
        show_default="none",
        help="How the cohort's tables are read; repeatable. RAD-ChestCT: subset=FILE, volumes=FOLDER; CT-RATE: "
        "labels=reports|published, validation_share=0.1; a table: extra_labels=COLUMN,COLUMN.",
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option("--scheduler", show_default="none", help="Address of a dask scheduler, to work on many machines."),
]
StandOption = Annotated[
    Stand, typer.Option("--heuristic", help="Which mask stands in where a segmentation failed its quality control.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there already. Default: leave them, and stop.")
]
