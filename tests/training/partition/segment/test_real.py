"""Real CTs: Dice against reference lungs beside the authors' recipe and a threshold; heart and aorta; a look-alike."""

from __future__ import annotations

import numpy as np
import pytest

from training.geometry import Geometry
from training.io import read_ct
from training.io.nifti import read_stored
from training.partition import segment_organs
from training.partition.grids import nearest_labels


def test_lungs_of_a_real_ct_beat_the_authors_recipe_and_a_threshold(real, dice, threshold) -> None:
    ours = segment_organs(real.volume)
    theirs = segment_organs(real.volume, variant="authors")
    scores, authors = dice(ours.labels, real), dice(theirs.labels, real)
    plain = dice(threshold(real.volume, ours.body), real)
    assert scores["both"] >= 0.97
    assert min(scores["right"], scores["left"]) >= 0.96
    for other in (authors, plain):
        assert scores["both"] > other["both"]
        assert min(scores["right"], scores["left"]) > min(other["right"], other["left"])
    assert ours.qc.passed
    assert ours.qc.reasons == ()
    assert theirs.qc.backend == "morphology (authors)"
    assert ours.geometry is real.volume.geometry


def test_the_airways_stay_out_of_the_lungs(real) -> None:
    labels = segment_organs(real.volume).labels
    assert np.isin(labels[real.ignored], (1, 2)).mean() < 0.3
    assert np.isin(labels[real.left | real.right], (1, 2)).mean() > 0.98


@pytest.mark.parametrize(
    ("folder", "organ", "least"),
    [
        ("pulmonary_report", "heart", 0.97),
        ("pulmonary_report", "pulmonary_artery", 0.97),
        ("aorta_report", "aorta", 0.97),
    ],
)
def test_heart_and_great_vessels_of_cropped_contrast_cts_lie_in_the_mediastinum(
    shared_data, folder, organ, least
) -> None:
    case = shared_data / "seg" / "mediastinum-crops" / folder
    volume = read_ct(case / "ct_cropped.nii.gz")
    organs = segment_organs(volume)
    stored = read_stored(case / f"{organ}.nii.gz")
    mask = nearest_labels(stored.values, Geometry(stored.values.shape, stored.affine), volume.geometry) > 0
    lungs = np.isin(organs.labels, (1, 2)).reshape(len(mask), -1)
    seen = lungs.sum(axis=1) * np.prod(volume.geometry.spacing_mm[1:]) > 2000  # the chest; the aorta goes on below it
    assert (organs.labels[seen] == 3)[mask[seen]].mean() >= least
    assert {"lungs-at-edge", "lungs-at-end"} <= {issue.code for issue in organs.qc.reasons}


@pytest.mark.slow
def test_a_full_contrast_ct_has_nodules_inside_its_lungs(shared_data) -> None:
    import csv

    folder = shared_data / "ct" / "lidc-idri-1011"
    volume = read_ct(folder / "LIDC-IDRI-1011_CT_133slices.zip")
    organs = segment_organs(volume)
    assert organs.qc.passed
    assert organs.qc.reasons == ()
    with next(folder.glob("*.csv")).open() as file:
        rows = list(csv.DictReader(file))
    points = [[float(row[key]) for key in ("coordX", "coordY", "coordZ")] for row in rows]
    index = np.rint(volume.geometry.to_index(points)).astype(int)
    assert all(organs.labels[tuple(i)] in (1, 2) for i in index)
