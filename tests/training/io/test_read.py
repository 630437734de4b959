"""Every kind of file reads to the same CT with left on the left, and every bad one says what is wrong."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from training.geometry import Geometry
from training.io import list_series, read_ct
from training.io.orient import LPS_FROM_RAS
from training.io.write import nifti_affine, write_nifti
from training.issues import InputError
from training.volume import Volume

SPACING = (2.0, 0.9, 0.7)
ORIGIN = (-8.0, -10.0, 30.0)
MARKER_HU = 1234


@pytest.fixture(autouse=True)
def salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIRESCAM_SALT", "tests")


def chest(shape: tuple[int, int, int] = (12, 20, 24)) -> np.ndarray:
    """A body of soft tissue in air with two lungs; one bright voxel near the head, in front, on the patient's left."""
    hu = np.full(shape, -1000, np.int16)
    hu[:, 3:-3, 2:-2] = 40
    hu[:, 6:-6, 4:9] = -850
    hu[:, 6:-6, -9:-4] = -820
    hu[1, 4, -5] = MARKER_HU
    return hu


def canonical() -> Geometry:
    return Geometry.canonical((12, 20, 24), SPACING, ORIGIN)


def code_of(failure: pytest.ExceptionInfo[InputError]) -> str:
    return failure.value.issues[0].code


def save_nifti(path: Path, values: np.ndarray, ras: np.ndarray, **header: Any) -> Path:
    image = nibabel.Nifti1Image(values, None)
    image.set_sform(ras, 1)
    image.set_qform(ras, 1)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
    if header:
        patch_header(path, **header)
    return path


def patch_header(path: Path, **fields: Any) -> None:
    """Overwrite fields of a plain .nii where they stand."""
    data = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(data[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    data[:348] = header.binaryblock
    path.write_bytes(bytes(data))


def plain_nifti(path: Path, **header: Any) -> Path:
    return save_nifti(path, chest().transpose(2, 1, 0), nifti_affine(canonical()), **header)


def assert_is_the_chest(volume: Volume) -> None:
    np.testing.assert_array_equal(volume.hu, chest())
    assert volume.geometry.allclose(canonical(), 1e-3)
    assert volume.hu.flags.c_contiguous


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_reads_back(tmp_path: Path, name: str) -> None:
    write_nifti(tmp_path / name, chest(), canonical())
    volume = read_ct(tmp_path / name)
    assert_is_the_chest(volume)
    assert volume.provenance.source == "nifti"
    assert len(volume.provenance.pixels_sha256) == 64
    assert volume.issues == ()


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAI", "PIR", "SRP", "AIL", "IPL"])
def test_every_axis_order_ends_in_the_same_place(tmp_path: Path, codes: str) -> None:
    """The marker is planted near the head, in front, on the left; flips and swaps of the file must not move it."""
    image = nibabel.Nifti1Image(chest().transpose(2, 1, 0), nifti_affine(canonical()))
    start = nibabel.io_orientation(image.affine)
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(start, nibabel.orientations.axcodes2ornt(codes)))
    save_nifti(tmp_path / "a.nii", np.asarray(turned.dataobj), turned.affine)
    volume = read_ct(tmp_path / "a.nii")
    assert_is_the_chest(volume)
    marker = np.argwhere(volume.hu == MARKER_HU)[0]
    centre = volume.geometry.to_world((np.array(volume.hu.shape) - 1) / 2)
    left, back, head = volume.geometry.to_world(marker) - centre
    assert (left > 0, back < 0, head > 0) == (True, True, True)


def test_nifti_agrees_with_itk_about_every_marker(tmp_path: Path) -> None:
    """An independent reader puts the marker at the same LPS point, oblique affine included."""
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[:3, :3] = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    oblique = Geometry(canonical().shape, turn @ canonical().affine)
    write_nifti(tmp_path / "a.nii.gz", chest(), oblique)
    volume = read_ct(tmp_path / "a.nii.gz")
    assert volume.geometry.allclose(oblique, 1e-3)
    assert not volume.geometry.is_axis_aligned
    image = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    index = np.argwhere(sitk.GetArrayFromImage(image) == MARKER_HU)[0]
    expected = image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
    np.testing.assert_allclose(volume.geometry.to_world(np.argwhere(volume.hu == MARKER_HU)[0]), expected, atol=1e-3)


def test_nifti_scaling_rounding_nan_and_padding(tmp_path: Path) -> None:
    values = chest().astype(np.float32) + 0.3
    values[0, 0, 0] = np.nan
    values[5, 0, :4] = -2048
    save_nifti(tmp_path / "a.nii", ((values + 1024) / 2).transpose(2, 1, 0), nifti_affine(canonical()))
    patch_header(tmp_path / "a.nii", scl_slope=2, scl_inter=-1024)
    volume = read_ct(tmp_path / "a.nii")
    np.testing.assert_array_equal(volume.hu, chest())
    assert {issue.code for issue in volume.issues} == {"not-a-number", "padding"}


def test_nifti_units_and_trailing_axis(tmp_path: Path) -> None:
    affine = nifti_affine(canonical())
    affine[:3] /= 1000
    save_nifti(tmp_path / "a.nii", chest().transpose(2, 1, 0)[..., None], affine)
    patch_header(tmp_path / "a.nii", xyzt_units=1)
    assert_is_the_chest(read_ct(tmp_path / "a.nii"))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"qoffset_x": 77.0}, "forms-disagree"),
        ({"qform_code": 0, "sform_code": 0}, "no-geometry"),
        ({"sform_code": 0, "quatern_b": np.nan}, "no-geometry"),
        ({"qform_code": 0, "srow_x": [0, 0, 0, 0]}, "no-geometry"),
        ({"qform_code": 0, "srow_x": [np.inf, 0, 0, 0]}, "no-geometry"),
        ({"qform_code": 0, "srow_x": [-0.7, 0, 0.5, 0]}, "sheared"),
        ({"scl_slope": np.nan}, "bad-slope"),
        ({"scl_slope": np.inf}, "bad-slope"),
        ({"scl_slope": 1, "scl_inter": np.nan}, "bad-slope"),
        ({"scl_slope": 1, "scl_inter": 1024}, "not-hu"),
        ({"scl_slope": 0.01}, "not-hu"),
        ({"datatype": 2, "bitpix": 8}, "not-hu"),
        ({"datatype": 128, "bitpix": 24, "dim": [3, 4, 4, 4, 1, 1, 1, 1]}, "wrong-type"),
        ({"datatype": 99}, "damaged-file"),
        ({"datatype": 0, "bitpix": 0}, "damaged-file"),
        ({"dim": [3, 24, 20, 0, 1, 1, 1, 1]}, "damaged-file"),
        ({"dim": [4, 24, 20, 4, 3, 1, 1, 1]}, "wrong-rank"),
        ({"dim": [2, 24, 240, 1, 1, 1, 1, 1]}, "wrong-rank"),
        ({"dim": [3, 24, 120, 2, 1, 1, 1, 1]}, "too-few-slices"),
        ({"dim": [3, 24, 20, 4000, 1, 1, 1, 1]}, "damaged-file"),
    ],
)
def test_bad_nifti_headers(tmp_path: Path, fields: dict[str, Any], code: str) -> None:
    plain_nifti(tmp_path / "bad.nii", **fields)
    with pytest.raises(InputError) as failure:
        read_ct(tmp_path / "bad.nii")
    issue = failure.value.issues[0]
    assert (issue.code, issue.file) == (code, "bad.nii")
    assert issue.way_out
    assert str(tmp_path) not in str(failure.value)


def test_zero_slope_is_the_standards_way_to_say_unscaled(tmp_path: Path) -> None:
    volume = read_ct(plain_nifti(tmp_path / "a.nii", scl_slope=0, scl_inter=0))
    assert_is_the_chest(volume)
    assert [issue.code for issue in volume.issues] == ["bad-slope"]
    shifted = save_nifti(tmp_path / "b.nii", (chest() + 1024).transpose(2, 1, 0), nifti_affine(canonical()))
    patch_header(shifted, scl_slope=0)
    with pytest.raises(InputError, match="rescale intercept"):
        read_ct(shifted)


def test_truncated_and_corrupt_nifti(tmp_path: Path) -> None:
    whole = plain_nifti(tmp_path / "a.nii").read_bytes()
    zipped = bytearray(gzip.compress(whole, mtime=0))
    damaged = bytearray(zipped)
    damaged[-6] ^= 0xFF  # in the checksum
    for name, data in {
        "half.nii": whole[: len(whole) // 2],
        "header.nii": whole[:349],
        "half.nii.gz": bytes(zipped[: len(zipped) // 2]),
        "checksum.nii.gz": bytes(damaged),
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=rf"{name}: .*truncated or damaged") as failure:
            read_ct(tmp_path / name)
        assert code_of(failure) == "damaged-file"


def image_of(hu: np.ndarray, geometry: Geometry) -> sitk.Image:
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.SetOrigin(geometry.origin_mm.tolist())
    image.SetDirection(geometry.direction[:, ::-1].ravel().tolist())
    return image


@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
def test_itk_formats_read_back(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(image_of(chest(), canonical()), str(tmp_path / name))
    assert_is_the_chest(read_ct(tmp_path / name))


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_itk_formats_turned(tmp_path: Path, name: str) -> None:
    upside_down = canonical().subgrid((11, 19, 0), (-1, -1, 1), (12, 20, 24))
    sitk.WriteImage(image_of(chest()[::-1, ::-1], upside_down), str(tmp_path / name), True)
    assert_is_the_chest(read_ct(tmp_path / name))


def edited(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    ("name", "old", "new", "code"),
    [
        ("a.nrrd", b"space: left-posterior-superior\n", b"", "no-geometry"),
        ("a.nrrd", b"space: left-posterior-superior", b"space: scanner-xyz", "no-geometry"),
        ("a.nrrd", b"space origin:", b"#", "no-geometry"),
        ("a.mha", b"TransformMatrix", b"Comment", "no-geometry"),
        ("a.mha", b"ElementSpacing", b"Comment", "no-geometry"),
    ],
)
def test_itk_files_without_orientation_are_refused(
    tmp_path: Path, name: str, old: bytes, new: bytes, code: str
) -> None:
    sitk.WriteImage(image_of(chest(), canonical()), str(tmp_path / name))
    assert old in (tmp_path / name).read_bytes()
    edited(tmp_path / name, lambda data: data.replace(old, new))
    with pytest.raises(InputError, match=name) as failure:
        read_ct(tmp_path / name)
    assert code_of(failure) == code


@pytest.mark.parametrize(
    ("name", "field", "value", "words"),
    [
        ("a.mha", "ElementSpacing =", "-3 3 3", "the spacing is -3, so nothing says where left and right are"),
        ("a.mha", "ElementSpacing =", "3 0 3", "the spacing is 0"),
        ("a.mha", "ElementSpacing =", "3 3 nan", "the spacing is not a number"),
        ("a.mha", "TransformMatrix =", "1 0 0 1 0 0 0 0 1", "its orientation is singular"),
        ("a.mha", "TransformMatrix =", "nan 0 0 0 1 0 0 0 1", "its orientation is not a number"),
        ("a.mha", "TransformMatrix =", "2 0 0 0 1 0 0 0 1", "an axis of its orientation has length 2, not 1"),
        ("a.mha", "TransformMatrix =", "1 0 0 0 1 0", "its orientation has 6 numbers, not 9"),
        ("a.mha", "Offset =", "nan 0 0", "its position is not a number"),
        ("a.nrrd", "space directions:", "(0,0,0) (0,3,0) (0,0,3)", "the spacing is 0"),
        ("a.nrrd", "space directions:", "(nan,0,0) (0,3,0) (0,0,3)", "the spacing is not a number"),
        ("a.nrrd", "space directions:", "(3,0,0) (3,0,0) (0,0,3)", "its orientation is singular"),
        ("a.nrrd", "space origin:", "(nan,0,0)", "its position is not a number"),
        ("a.nrrd", "encoding:", "raw\nspacings: -3 3 3", "the spacing is -3"),
        ("a.nrrd", "encoding:", "raw\nspacings: 3 3 3", "spacings beside its space directions"),
    ],
)
def test_itk_files_placed_by_numbers_that_are_none(
    tmp_path: Path, name: str, field: str, value: str, words: str
) -> None:
    sitk.WriteImage(image_of(chest(), canonical()), str(tmp_path / name))
    line, new = re.compile(rf"^{field}.*$".encode(), re.MULTILINE), f"{field} {value}".encode()
    edited(tmp_path / name, lambda data: line.sub(new, data, count=1))
    with pytest.raises(InputError, match=re.escape(words)) as failure:
        read_ct(tmp_path / name)
    assert code_of(failure) == "no-geometry"


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
@pytest.mark.parametrize("compressed", [True, False])
def test_truncated_itk_files(tmp_path: Path, name: str, compressed: bool, capfd: pytest.CaptureFixture[str]) -> None:
    sitk.WriteImage(image_of(chest(), canonical()), str(tmp_path / name), compressed)
    edited(tmp_path / name, lambda data: data[:-200])
    with pytest.raises(InputError) as failure:
        read_ct(tmp_path / name)
    assert code_of(failure) == "damaged-file"
    assert str(tmp_path) not in str(failure.value)


def test_mhd_without_its_data_file(tmp_path: Path) -> None:
    sitk.WriteImage(image_of(chest(), canonical()), str(tmp_path / "a.mhd"))
    (tmp_path / "a.raw").unlink()
    with pytest.raises(InputError, match=r"a\.raw.*missing"):
        read_ct(tmp_path / "a.mhd")


def test_vector_and_8_bit_images_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Compose(*[image_of(chest(), canonical())] * 3), str(tmp_path / "rgb.nrrd"))
    with pytest.raises(InputError) as failure:
        read_ct(tmp_path / "rgb.nrrd")
    assert code_of(failure) in ("wrong-rank", "no-geometry")
    sitk.WriteImage(image_of(np.clip(chest(), 0, 255).astype(np.uint8), canonical()), str(tmp_path / "gray.nrrd"))
    with pytest.raises(InputError, match="8-bit"):
        read_ct(tmp_path / "gray.nrrd")


def test_npz_reads_with_the_published_axes(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "trn00001.npz", ct=chest())
    volume = read_ct(tmp_path / "trn00001.npz")
    np.testing.assert_array_equal(volume.hu, chest())
    assert volume.geometry.is_canonical
    assert volume.geometry.spacing_mm == (0.8, 0.8, 0.8)
    assert [issue.code for issue in volume.issues] == ["no-position"]
    assert "trn00001" not in volume.case_id


class Bomb:
    """Would leave a trace if it were unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (os.mkdir, ("unpickled",))


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({"volume": np.zeros((3, 3, 3), np.int16)}, "missing-key"),
        ({"ct": np.array([Bomb()], dtype=object)}, "pickled"),
        ({"ct": chest()[0]}, "wrong-rank"),
        ({"ct": chest()[None]}, "wrong-rank"),
        ({"ct": chest().astype(np.float32)}, "wrong-type"),
        ({"ct": chest().astype(np.int32)}, "wrong-type"),
        ({"ct": (chest() + 1024).astype(np.int16)}, "not-hu"),
    ],
)
def test_bad_npz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays: dict[str, np.ndarray], code: str) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez_compressed(tmp_path / "bad.npz", allow_pickle=True, **arrays)
    with pytest.raises(InputError) as failure:
        read_ct(tmp_path / "bad.npz")
    assert (code_of(failure), failure.value.issues[0].file) == (code, "bad.npz")
    assert not (tmp_path / "unpickled").exists()


def test_truncated_npz(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bad.npz", ct=chest())
    edited(tmp_path / "bad.npz", lambda data: data[:-100])
    with pytest.raises(InputError, match=r"bad\.npz: .*truncated or damaged"):
        read_ct(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.nii", b"", "unknown-format"),
        ("notes.txt", b"hello", "unknown-format"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(400), "unknown-format"),
        ("model.pt", b"\x80\x02}q\x00.", "unknown-format"),
        ("a.nii.gz", gzip.compress(b"no header"), "damaged-file"),
        ("broken.zip", b"PK\x03\x04" + bytes(50), "damaged-file"),
    ],
)
def test_files_of_no_known_kind(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as failure:
        read_ct(tmp_path / name)
    issue = failure.value.issues[0]
    assert (issue.code, issue.file, bool(issue.way_out)) == (code, name, True)


def test_a_zipped_file_is_unzipped_no_further_than_its_header_promises(tmp_path: Path) -> None:
    path = plain_nifti(tmp_path / "ct.nii.gz")
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(whole + b"\0" * 1000))
    assert_is_the_chest(read_ct(path))
    path.write_bytes(gzip.compress(whole + b"\0" * (3 * 2**20), 1))
    with pytest.raises(InputError, match="far more than its header promises"):
        read_ct(path)


@pytest.mark.parametrize("mm", [1e8, 1e-3])
def test_volumes_of_impossible_size_are_refused(tmp_path: Path, mm: float) -> None:
    with pytest.raises(InputError) as refused:
        read_ct(save_nifti(tmp_path / "ct.nii", chest(), np.diag([mm, mm, mm, 1.0])))
    assert code_of(refused) == "implausible-size"


def test_nrrd_axes_without_direction_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ct.nrrd"
    sitk.WriteImage(image_of(chest(), canonical()), str(path))

    def without(content: bytes) -> bytes:
        head, line, rest = content.partition(b"space directions: ")
        return head + line + b"none (0,1,0) (0,0,1)\n" + rest.partition(b"\n")[2]

    with pytest.raises(InputError, match="no direction"):
        read_ct(edited(path, without))


@pytest.mark.parametrize("name", ["../elsewhere.raw", "/etc/passwd"])
def test_headers_point_to_nothing_outside_their_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / "ct.mhd"
    sitk.WriteImage(image_of(chest(), canonical()), str(path))
    with pytest.raises(InputError, match="outside of its folder"):
        read_ct(edited(path, lambda content: content.replace(b"ct.raw", name.encode())))


@pytest.mark.parametrize("name", ["a.nrrd", "a.nii.gz", "a.dat", "a"])
def test_wrong_extensions(tmp_path: Path, name: str) -> None:
    plain_nifti(tmp_path / "right.nii").rename(tmp_path / name)
    with pytest.raises(InputError, match=r"content is NIfTI.*Rename it to end in \.nii") as failure:
        read_ct(tmp_path / name)
    assert code_of(failure) == "wrong-extension"


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.nii: there is no such file"):
        read_ct(tmp_path / "gone.nii")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(InputError, match="folder: the folder holds no files"):
        read_ct(tmp_path / "folder")
    plain_nifti(tmp_path / "folder" / "a.nii")
    with pytest.raises(InputError, match=r"folder holds no DICOM, but 1 file"):
        read_ct(tmp_path / "folder")
    (tmp_path / "result" / "case.zarr").mkdir(parents=True)
    with pytest.raises(InputError, match="Open it with `hirescam view`"):
        read_ct(tmp_path / "result")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "folder" / "a.nii", "a.nii")
    with pytest.raises(InputError, match="Unpack it"):
        read_ct(tmp_path / "a.zip")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(tmp_path: Path) -> None:
    plain_nifti(tmp_path / "a.nii").chmod(0)
    with pytest.raises(InputError, match="not permitted"):
        read_ct(tmp_path / "a.nii")


def test_refusals_of_the_system_become_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_nifti(tmp_path / "a.nii")

    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputError, match=r"a\.nii: reading is not permitted"):
        read_ct(tmp_path / "a.nii")


def test_single_volumes_list_as_one_series(tmp_path: Path) -> None:
    plain_nifti(tmp_path / "a.nii")
    (info,) = list_series(tmp_path / "a.nii")
    assert (info.number, info.n_slices, info.loadable) == (1, 12, True)
    assert info.spacing_mm == pytest.approx(SPACING)
    assert info.thumbnail is not None
    assert info.thumbnail.dtype == np.uint8
    assert np.ptp(info.thumbnail) > 0
    assert_is_the_chest(read_ct(tmp_path / "a.nii", series=1))
    with pytest.raises(InputError, match="no series 2"):
        read_ct(tmp_path / "a.nii", series=2)


def test_case_ids_are_hashes_of_the_pixels(tmp_path: Path) -> None:
    first = read_ct(plain_nifti(tmp_path / "Jane_Doe.nii"))
    shutil.copy(tmp_path / "Jane_Doe.nii", tmp_path / "other.nii")
    assert first.case_id == read_ct(tmp_path / "other.nii").case_id
    assert "Jane" not in repr(first)
    assert len(first.case_id) == 16


def test_map_written_as_nifti_stands_where_it_should(tmp_path: Path) -> None:
    """ITK finds the planted cell at the LPS point of the geometry; qform and sform agree; there is no text inside."""
    cells = canonical().subgrid((1.0, 4.0, 4.0), (3.0, 8.0, 8.0), (3, 2, 2))
    values = np.zeros((3, 2, 2), np.float32)
    values[2, 0, 1] = 5.5
    write_nifti(tmp_path / "map.nii.gz", values, cells)
    image = sitk.ReadImage(str(tmp_path / "map.nii.gz"))
    array = sitk.GetArrayFromImage(image)
    index = np.argwhere(array == 5.5)[0]
    point = image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
    np.testing.assert_allclose(point, cells.to_world((2, 0, 1)), atol=1e-3)
    header = nibabel.load(tmp_path / "map.nii.gz").header
    np.testing.assert_allclose(header.get_sform(), header.get_qform(), atol=1e-4)
    np.testing.assert_allclose(LPS_FROM_RAS @ header.get_sform()[:, [2, 1, 0, 3]], cells.affine, atol=1e-4)
    assert not bytes(header["descrip"]).strip(b"\0")
    with pytest.raises(ValueError, match="shape"):
        write_nifti(tmp_path / "map.nii.gz", values[:2], cells)


def test_real_nrrd_is_in_canonical_order(shared_data: Path) -> None:
    path = shared_data / "ct" / "cip-ct-64" / "ct-64.nrrd"
    volume = read_ct(path)
    assert volume.geometry.is_canonical
    image = sitk.ReadImage(str(path))
    for index in ((0, 0, 0), (63, 1, 40), (20, 33, 78)):
        point = image.TransformIndexToPhysicalPoint(index)
        place = np.rint(volume.geometry.to_index(point)).astype(int)
        assert volume.hu[tuple(place)] == image[index]


def test_label_maps_are_not_taken_for_cts(shared_data: Path) -> None:
    for name in ("lm-64.nrrd", "wholeLung-64.nrrd"):
        with pytest.raises(InputError, match="not Hounsfield units"):
            read_ct(shared_data / "ct" / "cip-ct-64" / name)


def test_nrrd_and_dicom_of_the_same_ct_are_one(shared_data: Path) -> None:
    nrrd = read_ct(shared_data / "ct" / "cip-ct-64" / "ct-64.nrrd")
    dicom = read_ct(shared_data / "ct" / "cip-ct-64" / "ct-64Dicom")
    np.testing.assert_array_equal(nrrd.hu, dicom.hu)
    assert nrrd.geometry.allclose(dicom.geometry, 0.01)
