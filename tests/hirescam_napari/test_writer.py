from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from napari.layers import Image, Labels

from hirescam_napari._layers import map_layer
from hirescam_napari._writer import geometry_of, write_nifti_layer
from training.explain.result import Explanation
from training.issues import InputError


def test_a_map_is_written_signed_in_its_own_resolution_at_its_place(explanation: Explanation, tmp_path: Path) -> None:
    data, meta, _ = map_layer(explanation, explanation.labels[0])
    layer = Image(data, **meta)
    path = str(tmp_path / "map.nii.gz")
    assert write_nifti_layer(path, layer.data, layer.as_layer_data_tuple()[1]) == [path]
    image = nibabel.load(path)
    values = np.asarray(image.dataobj)
    assert values.transpose(2, 1, 0) == pytest.approx(explanation.map(explanation.labels[0]))
    assert values.min() < 0
    world = explanation.geometry().to_world((4, 1, 2))
    ras = image.affine @ [2, 1, 4, 1]
    assert ras[:3] == pytest.approx([-world[0], -world[1], world[2]], abs=1e-4)


def test_a_mask_is_written_as_integers(tmp_path: Path) -> None:
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1:3, 2, 3] = 1
    layer = Labels(mask, scale=(2, 1, 1), units=("mm",) * 3)
    path = str(tmp_path / "mask.nii")
    write_nifti_layer(path, layer.data, layer.as_layer_data_tuple()[1])
    image = nibabel.load(path)
    assert np.asarray(image.dataobj).sum() == 2
    assert image.header.get_zooms() == pytest.approx((1, 1, 2))


@pytest.mark.parametrize(("shape", "more"), [((4, 5), {}), ((3, 4, 5), {"shear": [0.2, 0, 0]})])
def test_what_has_no_place_in_the_patient_is_refused(shape: tuple[int, ...], more: dict[str, object]) -> None:
    layer = Image(np.zeros(shape), contrast_limits=(0, 1), name="flat", **more)
    with pytest.raises(InputError, match="flat"):
        geometry_of(shape, layer.as_layer_data_tuple()[1])
