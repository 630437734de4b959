"""Masks made elsewhere: any grid, label map or separate files; what is refused."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from training.geometry import Geometry
from training.io.write import write_nifti
from training.issues import InputError
from training.partition import segment_organs
from training.partition.segment.masks import read_masks

FINE = Geometry.canonical((80, 90, 90), (3.0, 3.0, 3.0), (-133.0, -133.0, 120.0))
COARSE = Geometry.canonical((40, 45, 45), (6.0, 6.0, 6.0), (-131.5, -131.5, 118.5))


@pytest.fixture
def labels():
    values = np.zeros(FINE.shape, np.uint8)
    values[10:70, 20:70, 10:38] = 1
    values[10:70, 20:70, 52:80] = 2
    values[10:70, 20:60, 40:50] = 3
    return values


def test_a_label_map_is_placed_by_physical_space(tmp_path, labels) -> None:
    write_nifti(tmp_path / "organs.nii.gz", labels, FINE)
    assert np.array_equal(read_masks(tmp_path / "organs.nii.gz", FINE), labels)
    coarse = read_masks(tmp_path / "organs.nii.gz", COARSE)
    assert np.array_equal(coarse, labels[1::2, 1::2, 1::2]) or np.array_equal(coarse, labels[::2, ::2, ::2])


def test_the_orientation_of_the_file_does_not_matter(tmp_path, labels) -> None:
    write_nifti(tmp_path / "organs.nii.gz", labels, FINE)
    image = nibabel.load(tmp_path / "organs.nii.gz")
    turned = image.as_reoriented(nibabel.orientations.axcodes2ornt(("P", "I", "R")))
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    assert np.array_equal(read_masks(tmp_path / "turned.nii.gz", FINE), labels)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_nrrd_and_metaimage(tmp_path, labels, suffix) -> None:
    import SimpleITK as sitk  # noqa: N813 - its usual name

    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(FINE.spacing_mm[::-1])
    image.SetOrigin(FINE.origin_mm.tolist())
    image.SetDirection(FINE.direction[:, ::-1].ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / f"organs{suffix}"))
    assert np.array_equal(read_masks(tmp_path / f"organs{suffix}", FINE), labels)


def test_separate_masks_from_a_folder_or_a_mapping(tmp_path, labels) -> None:
    files = {}
    for name, value in (("right_lung", 1), ("left_lung", 2), ("mediastinum", 3)):
        files[name] = tmp_path / f"{name}.nii.gz"
        write_nifti(files[name], (labels == value).astype(np.uint8) * 255, FINE)
    assert np.array_equal(read_masks(tmp_path, FINE), labels)
    assert np.array_equal(read_masks(files, FINE), labels)


def refusal(path, target=FINE):
    with pytest.raises(InputError) as refused:
        read_masks(path, target)
    return refused.value.issues[0]


def test_overlapping_masks_are_refused_with_their_number(tmp_path, labels) -> None:
    write_nifti(tmp_path / "right_lung.nii.gz", (labels == 1).astype(np.uint8), FINE)
    both = (labels == 2).astype(np.uint8)
    both[20, 30, 20:25] = 1
    write_nifti(tmp_path / "left_lung.nii.gz", both, FINE)
    issue = refusal(tmp_path)
    assert issue.code == "overlapping-masks"
    assert "5 voxels of the left lung are in the right lung as well" in issue.message


def test_other_values_other_places_and_missing_files_are_refused(tmp_path, labels) -> None:
    write_nifti(tmp_path / "lobes.nii.gz", labels * 4, FINE)
    assert refusal(tmp_path / "lobes.nii.gz").code == "mask-values"
    write_nifti(tmp_path / "organs.nii.gz", labels, FINE)
    far = Geometry.canonical(FINE.shape, (3.0, 3.0, 3.0), (2000.0, 0.0, 0.0))
    assert refusal(tmp_path / "organs.nii.gz", far).code == "mask-elsewhere"
    assert refusal(tmp_path / "none.nii.gz").code == "no-masks"
    assert refusal({"heart": tmp_path / "organs.nii.gz"}).code == "mask-names"
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty").code == "no-masks"
    (tmp_path / "broken.nrrd").write_text("NRRD0004\n")
    assert refusal(tmp_path / "broken.nrrd").code == "no-geometry"  # nothing says where left and right are


def test_masks_without_any_organ_are_called_that(tmp_path, labels) -> None:
    write_nifti(tmp_path / "organs.nii.gz", labels * 0, FINE)
    assert refusal(tmp_path / "organs.nii.gz").message == "organs.nii.gz: all its values are 0, so it holds no organ"
    for name in ("right_lung", "left_lung"):
        write_nifti(tmp_path / "folder" / f"{name}.nii.gz", labels * 0, FINE)
    assert refusal(tmp_path / "folder").code == "empty-mask"


def test_lungs_alone_get_a_mediastinum_between_them(tmp_path, real) -> None:
    lungs = np.where(real.right, 1, np.where(real.left, 2, 0)).astype(np.uint8)
    write_nifti(tmp_path / "lungs.nii.gz", lungs, real.volume.geometry)
    organs = segment_organs(real.volume, backend="file", mask_path=tmp_path / "lungs.nii.gz")
    assert np.array_equal(organs.labels == 1, real.right)
    assert np.array_equal(organs.labels == 2, real.left)
    own = segment_organs(real.volume).labels == 3
    assert (own & (organs.labels == 3)).sum() > 0.85 * own.sum()
    assert organs.qc.backend == "file"
    assert organs.qc.passed
    assert organs.body is not None


def test_a_complete_label_map_is_kept_as_it_is(tmp_path, real) -> None:
    made = segment_organs(real.volume).labels
    write_nifti(tmp_path / "organs.nii.gz", made, real.volume.geometry)
    again = segment_organs(real.volume, backend="file", mask_path=tmp_path / "organs.nii.gz")
    assert np.array_equal(again.labels, made)
