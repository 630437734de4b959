"""The dataset: cases of every source on the model's grid, kept in the cache, usable for training and for regions."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from training.cohort.sources import CohortDataset, CtRate, GenericTable, PhantomCohort, RadChestCT, open_cohort
from training.fit import TrainConfig, train
from training.fit.config import merge
from training.issues import InputError
from training.labels import label_names
from training.models import load_model
from training.partition.allowed import RegionSettings, allowed_regions, organ_cells
from training.preprocess import InputSpec, prepare

SPEC = InputSpec((3.0, 1.5, 1.5), (12, 20, 20))


@pytest.fixture(params=["table", "rad_chestct", "ct_rate", "phantoms"])
def source(request: pytest.FixtureRequest) -> object:
    kinds = {"table": GenericTable, "rad_chestct": RadChestCT, "ct_rate": CtRate, "phantoms": PhantomCohort}
    return kinds[request.param](request.getfixturevalue(request.param))


def test_every_source_gives_the_same_kind_of_cases(source: object, tmp_path: Path) -> None:
    splits = open_cohort(source, SPEC, tmp_path / "cache")  # type: ignore[arg-type]
    assert set(splits) <= {"train", "valid", "test"}
    for dataset in splits.values():
        case = dataset[0]
        assert case.case_id == dataset.case_ids[0]
        assert case.input.hu.shape == SPEC.shape
        np.testing.assert_array_equal(case.input.hu, prepare(dataset.volume(0), SPEC).hu)
        np.testing.assert_array_equal(case.targets, dataset.targets[0])
        assert dataset.targets.shape == (len(dataset), len(dataset.labels))
        present = {n for n, v in zip(dataset.labels, case.targets, strict=True) if v == 1} & set(label_names())
        assert set(case.regions.present) == present
        again = pickle.loads(pickle.dumps(dataset))  # what worker processes get  # noqa: S301
        np.testing.assert_array_equal(again.hu(0), case.input.hu)


def test_the_second_read_is_from_the_cache(rad_chestct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_cohort(RadChestCT(rad_chestct), SPEC, tmp_path / "cache")["train"].hu(1)
    monkeypatch.setattr(RadChestCT, "read", None)
    again = open_cohort(RadChestCT(rad_chestct), SPEC, tmp_path / "cache")["train"]
    np.testing.assert_array_equal(again.hu(1), first)
    with pytest.raises(TypeError):
        open_cohort(RadChestCT(rad_chestct), SPEC)["train"].hu(1)


def test_ct_rate_entries_depend_on_the_metadata(ct_rate: Path, tmp_path: Path) -> None:
    def read() -> np.ndarray:
        dataset = open_cohort(CtRate(ct_rate), SPEC, tmp_path / "cache")["train"]
        return dataset.hu(dataset.case_ids.index("train_2_a_1"))

    before = read()
    path = ct_rate / "dataset/metadata/train_metadata.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("-8192", "-8180"), encoding="utf-8")
    inside = before > -900
    np.testing.assert_array_equal((read() - before)[inside], 12)


def test_regions_lie_on_the_known_side(phantoms: Path, explanation_factory: object) -> None:
    dataset = open_cohort(PhantomCohort(phantoms), InputSpec((13.5, 7.0, 7.0), (24, 48, 48)))["train"]
    case = dataset[0]
    name, (side,) = next((n, tuple(s)) for n, s in case.regions.present.items() if len(s) == 1)
    from training.geometry import CellLayout, ReceptiveField

    cells = CellLayout((8, 6, 6), (ReceptiveField(3, 3, 1), ReceptiveField(8, 8, 3.5), ReceptiveField(8, 8, 3.5)))
    settings = RegionSettings("stretch", "any")
    values = organ_cells(None, case.input.geometry, cells, settings)
    regions = allowed_regions(values, dataset.labels, case.regions.present, settings)
    region = regions.allowed[dataset.labels.index(name)]
    halves = {"right": region[..., :3].any(), "left": region[..., 3:].any()}
    assert halves == {"right": side == "right", "left": side == "left"}


def test_errors_of_the_tables_stop_it_with_all_reasons(table: Path) -> None:
    text = table.read_text(encoding="utf-8").replace("b.nii.gz", "z.nii.gz").replace("valid", "vaild")
    table.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        open_cohort(GenericTable(table), SPEC)
    assert {"no-volume", "bad-split"} <= {issue.code for issue in caught.value.issues}


def test_a_ct_that_cannot_be_read_names_its_file(rad_chestct: Path) -> None:
    np.savez_compressed(rad_chestct / "trn00002.npz", volume=np.zeros((4, 4, 4), np.int16))
    with pytest.raises(InputError, match=r"trn00002\.npz: it has no array 'ct'"):
        open_cohort(RadChestCT(rad_chestct), SPEC)["train"].hu(1)


def test_a_network_is_trained_on_it(rad_chestct: Path, tmp_path: Path) -> None:
    settings = {
        "model": {"architecture": "axialnet-local", "width": 4, "cut_stage": 2, "custom_channels": [4]},
        "input": {"spacing_mm": [1.6, 1.6, 1.6], "shape": [6, 16, 16]},
        "run": {"epochs": 1, "device": "cpu", "threads": 1},
    }
    splits = open_cohort(RadChestCT(rad_chestct), InputSpec((1.6, 1.6, 1.6), (6, 16, 16)), tmp_path / "cache")
    assert isinstance(splits["train"], CohortDataset)
    trained = train(merge(TrainConfig(), settings), splits["train"], tmp_path / "run", splits["valid"])
    assert load_model(trained.best).labels == label_names()
    assert np.isfinite(trained.place.best_loss)
