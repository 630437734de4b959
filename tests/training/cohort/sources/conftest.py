"""Miniatures of the published layouts: a few CTs of some centimetres with invented labels and reports."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest

from training.cohort.phantom import PhantomGrid, write_cohort
from training.geometry import Geometry
from training.io.orient import LPS_FROM_RAS
from training.io.write import write_nifti
from training.partition.reports.columns import column_names
from training.partition.reports.ct_rate import rules
from training.partition.reports.vocabulary import load_vocabulary

SHAPE = (12, 24, 24)
SPACING = (3.0, 1.5, 1.5)

REPORTS = {
    "train_1_a_1": ("There is a 14 mm nodule in the right upper lobe. Heart size is normal.", "Right lung nodule."),
    "train_1_a_2": ("There is a 14 mm nodule in the right upper lobe. Heart size is normal.", "Right lung nodule."),
    "train_2_a_1": ("Cardiomegaly. Bilateral pleural effusion. No pneumothorax.", ""),
    "train_3_b_1": ("Both lungs are clear. No pleural effusion.", "Normal chest CT."),
    "valid_1_a_1": ("Emphysema in both lungs.", "Emphysema."),
}


def chest_hu(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """A body with two lungs of air in it, canonical order, int16 HU; different for every seed."""
    s, r, c = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    hu = np.full(shape, -1000, np.int16)
    hu[(r / 0.8) ** 2 + (c / 0.95) ** 2 < 1] = 40
    for centre in (-0.45, 0.45):
        hu[(r / 0.5) ** 2 + ((c - centre) / 0.3) ** 2 + (s / 0.9) ** 2 < 1] = -850
    return hu + np.random.default_rng(seed).integers(-15, 15, shape, dtype=np.int16)


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def nested(folder: Path, name: str) -> Path:
    """``train_1_a_1`` as CT-RATE nests it: ``train_1/train_1_a/train_1_a_1.nii.gz``."""
    scan = name.rpartition("_")[0]
    return folder / scan.rpartition("_")[0] / scan / f"{name}.nii.gz"


def write_fixed(path: Path, hu: np.ndarray, spacing: tuple[float, float, float] = SPACING) -> None:
    write_nifti(path, hu, Geometry.canonical(hu.shape, spacing))


def write_older(path: Path, hu: np.ndarray, intercept: int = -8192, slope: float = 1.0) -> None:
    """Stored values under a header of 1 mm voxels without scaling; axes as in the corrected file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = ((hu.astype(np.float64) - intercept) / slope).round().astype(np.int16).transpose(2, 1, 0)
    affine = LPS_FROM_RAS @ Geometry.canonical(hu.shape, (1.0, 1.0, 1.0)).affine[:, [2, 1, 0, 3]]
    image = nibabel.Nifti1Image(stored, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.to_filename(path)


def metadata_row(name: str, intercept: int = -8192, slope: float = 1.0) -> list[object]:
    z, y, x = SPACING
    return [f"{name}.nii.gz", slope, intercept, f"[{y}, {x}]", z, "[1, 0, 0, 0, 1, 0]"]


METADATA_HEADER = ("VolumeName", "RescaleSlope", "RescaleIntercept", "XYSpacing", "ZSpacing", "ImageOrientationPatient")


def write_ct_rate_tables(base: Path, reports: Mapping[str, tuple[str, str]]) -> None:
    """The tables in the folders and under the names in which they are published."""
    labels = tuple(rules())
    for split, other in (("train", "train"), ("valid", "validation")):
        own = {name: text for name, text in reports.items() if name.startswith(split)}
        write_rows(base / f"metadata/{other}_metadata.csv", METADATA_HEADER, [metadata_row(n) for n in own])
        rows = [[f"{n}.nii.gz", "", "", findings, impressions] for n, (findings, impressions) in own.items()]
        header = ("VolumeName", "ClinicalInformation_EN", "Technique_EN", "Findings_EN", "Impressions_EN")
        write_rows(base / f"radiology_text_reports/{other}_reports.csv", header, rows)
        flags = [
            [f"{n}.nii.gz", *(int("nodule" in t[0] and k == "Lung nodule") for k in labels)] for n, t in own.items()
        ]
        write_rows(base / f"multi_abnormality_labels/{split}_predicted_labels.csv", ("VolumeName", *labels), flags)


@pytest.fixture
def ct_rate(tmp_path: Path) -> Path:
    """CT-RATE with five volumes: three corrected, two older ones."""
    base = tmp_path / "CT-RATE" / "dataset"
    for seed, name in enumerate(REPORTS):
        if name in ("train_2_a_1", "train_3_b_1"):
            write_older(nested(base / "train", name), chest_hu(seed))
        else:
            write_fixed(nested(base / f"{name[:5]}_fixed", name), chest_hu(seed))
    write_ct_rate_tables(base, REPORTS)
    return tmp_path / "CT-RATE"


@pytest.fixture
def rad_chestct(tmp_path: Path) -> Path:
    """RAD-ChestCT with a table of every split and all columns of the vocabulary."""
    folder = tmp_path / "rad"
    ones = {
        "trn00001": ("nodule*right_upper", "pleural_effusion*other_location"),
        "trn00002": ("nodule*lung", "cardiomegaly*heart"),
        "val00001": ("calcification*aorta", "opacity*left_lower", "opacity*right_mid"),
        "tst00001": (),
    }
    columns = (*column_names(load_vocabulary()), "other_path*other_location")
    for split, prefix in (("train", "trn"), ("valid", "val"), ("test", "tst")):
        rows = [[name, *(int(c in own) for c in columns)] for name, own in ones.items() if name.startswith(prefix)]
        write_rows(folder / f"img{split}_Abnormality_and_Location_Labels.csv", ("NoteAcc_DEID", *columns), rows)
    for seed, name in enumerate(ones):
        np.savez_compressed(folder / f"{name}.npz", ct=chest_hu(seed))
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of one's own beside three CTs."""
    folder = tmp_path / "own"
    for seed, name in enumerate("abc"):
        write_fixed(folder / f"{name}.nii.gz", chest_hu(seed))
    rows = [
        ["Miller", "a.nii.gz", "train", 1, 0, "lung nodule: right"],
        ["Smith", "b.nii.gz", "train", 0, "", ""],
        ["Jones", "c.nii.gz", "valid", 0, 1, ""],
    ]
    return write_rows(folder / "labels.csv", ("case", "path", "split", "lung_nodule", "Emphysema", "sides"), rows)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small phantoms, one in every split."""
    grid = PhantomGrid((24, 48, 48), (13.5, 7.0, 7.0))
    return write_cohort(tmp_path_factory.mktemp("cohort") / "phantoms", 3, 4, grid)


@pytest.fixture
def make_hu() -> Callable[..., np.ndarray]:
    return chest_hu


@pytest.fixture
def files() -> Mapping[str, Callable[..., object]]:
    """Writers of single files and tables, for tests that spoil a miniature."""
    return {
        "fixed": write_fixed,
        "older": write_older,
        "rows": write_rows,
        "nested": nested,
        "metadata": metadata_row,
        "metadata_header": lambda: METADATA_HEADER,
    }
