from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from hirescam_napari._layers import VOLUME_KEY
from hirescam_napari._reader import get_reader, read
from training.issues import InputError

DICOM = bytes(128) + b"DICM" + bytes(64)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.nrrd", "ct.mha", "ct.mhd"])
def test_volume_files_are_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert get_reader(str(tmp_path / name)) is read


def test_an_npz_is_ours_only_with_the_key_ct(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", ct=np.zeros((3, 3, 3), np.int16))
    np.savez(tmp_path / "b.npz", other=np.zeros(3))
    (tmp_path / "c.npz").write_bytes(b"no archive")
    found = [get_reader(str(tmp_path / name)) for name in ("a.npz", "b.npz", "c.npz")]
    assert found == [read, None, None]


def test_a_zip_is_ours_only_with_dicom_in_it(tmp_path: Path) -> None:
    for name, content in (("dicom.zip", DICOM), ("text.zip", b"hello")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("folder/1", content)
    assert get_reader(str(tmp_path / "dicom.zip")) is read
    assert get_reader(str(tmp_path / "text.zip")) is None


def test_a_folder_is_ours_only_with_dicom_in_it(tmp_path: Path) -> None:
    assert get_reader(str(tmp_path)) is None
    (tmp_path / "notes.txt").write_text("x")
    assert get_reader(str(tmp_path)) is None
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "1").write_bytes(DICOM)
    assert get_reader(str(tmp_path)) is read


@pytest.mark.parametrize("name", ["image.zarr", "picture.ome.zarr", "volume.n5"])
def test_stores_of_other_plugins_are_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "0").write_bytes(DICOM)
    assert get_reader(str(tmp_path / name)) is None


@pytest.mark.parametrize("path", ["missing.nii", ["a.nii", "b.nii"]])
def test_what_is_not_there_and_stacks_are_left_alone(path: str | list[str]) -> None:
    assert get_reader(path) is None


def test_a_dcm_file_without_dicom_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"not")
    assert get_reader(str(tmp_path / "a.dcm")) is None


def test_reading_gives_one_ct_layer(tmp_path: Path) -> None:
    hu = np.random.default_rng(0).integers(-1000, 400, (9, 12, 12)).astype(np.int16)
    np.savez(tmp_path / "a.npz", ct=hu)
    ((data, meta, kind),) = read(str(tmp_path / "a.npz"))
    assert np.array_equal(data, hu)
    assert (kind, meta["scale"]) == ("image", pytest.approx((0.8, 0.8, 0.8)))
    assert meta["metadata"][VOLUME_KEY].hu is data
    assert str(tmp_path) not in str({k: v for k, v in meta.items() if k != "metadata"})


def test_a_refused_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"a\.nrrd"):
        read(str(tmp_path / "a.nrrd"))
