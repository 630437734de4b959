"""An evaluation written to a folder: JSON, a CSV for every table, one HTML page, the picture of slice scores."""

from __future__ import annotations

import json
from pathlib import Path

from training.evaluate.rows import to_csv
from training.evaluate.tables.evaluation import Evaluation
from training.io.atomic import atomic_path, check_folder_place
from training.issues import InputError, error

JSON_FILE, PAGE_FILE, BANDS_FILE = "evaluation.json", "evaluation.html", "slice_scores.svg"


def check_free(folder: Path) -> None:
    """Refuse a place where something is already, or where no folder can be made; raises ``InputError``."""
    check_folder_place(folder, replaced=True)
    if folder.exists():
        fact = "exists already, and is left as it is"
        raise InputError(error("output-exists", fact, "Choose a folder that does not exist yet.", folder.name))


def write_evaluation(folder: Path, evaluation: Evaluation) -> Path:
    """Write ``folder``, completely or not at all: ``evaluation.json``, a CSV for every table, the page, Figure 13.

    Raises
    ------
    InputError
        If the place is not writable or the disk is full.
    FileExistsError
        If ``folder`` exists already (:func:`check_free` tells before).
    """
    from training.evaluate.figures import bands_picture  # both load matplotlib
    from training.evaluate.page import bands_title, page

    with atomic_path(folder, overwrite=False) as partial:
        partial.mkdir()
        text = json.dumps(evaluation.to_dict(), indent=1, allow_nan=False)
        (partial / JSON_FILE).write_text(text + "\n", encoding="utf-8")
        for name, rows in evaluation.tables().items():
            (partial / f"{name}.csv").write_text(to_csv(rows), encoding="utf-8")
        (partial / PAGE_FILE).write_text(page(evaluation), encoding="utf-8")
        if evaluation.bands:
            svg = bands_picture(evaluation.bands, bands_title(evaluation.bands_of))
            (partial / BANDS_FILE).write_text(svg, encoding="utf-8")
    return folder
