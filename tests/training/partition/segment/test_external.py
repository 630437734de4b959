"""Other people's networks, played by small modules that return real arrays: orientation, names, absence."""

from __future__ import annotations

import sys
from types import ModuleType

import nibabel
import numpy as np
import pytest

from training.issues import InputError
from training.partition import segment_organs


@pytest.fixture
def lungs(real):
    return np.where(real.right, 1, np.where(real.left, 2, 0)).astype(np.uint8)


def test_lungmask_sees_the_ct_in_its_place(real, lungs, monkeypatch) -> None:
    seen = {}

    class LMInferer:
        def apply(self, image):
            import SimpleITK as sitk  # noqa: N813 - its usual name

            seen["hu"] = sitk.GetArrayFromImage(image)
            seen["point"] = image.TransformIndexToPhysicalPoint((3, 2, 1))
            return lungs

    module = ModuleType("lungmask")
    module.LMInferer = LMInferer
    monkeypatch.setitem(sys.modules, "lungmask", module)
    organs = segment_organs(real.volume, backend="lungmask")
    assert np.array_equal(seen["hu"], real.volume.hu)
    assert np.allclose(seen["point"], real.volume.geometry.to_world((1, 2, 3)))
    assert np.array_equal(organs.labels == 1, real.right)
    assert np.array_equal(organs.labels == 2, real.left)
    assert (organs.labels == 3).sum() > 5000
    assert organs.qc.backend == "lungmask"


def test_an_answer_of_another_shape_is_refused(real, monkeypatch) -> None:
    module = ModuleType("lungmask")
    module.LMInferer = lambda: type("Inferer", (), {"apply": lambda self, image: np.zeros((2, 2, 2))})()
    monkeypatch.setitem(sys.modules, "lungmask", module)
    with pytest.raises(InputError, match="shape"):
        segment_organs(real.volume, backend="lungmask")


def test_totalsegmentator_may_answer_in_another_orientation(real, lungs, monkeypatch) -> None:
    names = {1: "lung_upper_lobe_left", 2: "lung_lower_lobe_right", 3: "heart", 4: "liver"}
    heart = np.zeros(lungs.shape, bool)
    heart[40:50, 20:30, 28:36] = lungs[40:50, 20:30, 28:36] == 0
    values = np.choose(lungs, (0, 2, 1)).astype(np.uint8)
    values[heart] = 3
    values[0, 0, 0] = 4

    def totalsegmentator(image, task, ml, quiet):
        assert task == "total"
        assert ml
        assert nibabel.aff2axcodes(image.affine) == ("L", "P", "I")
        assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), real.volume.hu)
        answer = nibabel.Nifti1Image(values.transpose(2, 1, 0), image.affine)
        return answer.as_reoriented(nibabel.orientations.axcodes2ornt(("P", "R", "I")))

    package, api, classes = (ModuleType(f"totalsegmentator{end}") for end in ("", ".python_api", ".map_to_binary"))
    api.totalsegmentator, classes.class_map = totalsegmentator, {"total": names}
    for module in (package, api, classes):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    organs = segment_organs(real.volume, backend="totalsegmentator")
    assert np.array_equal(organs.labels == 1, real.right)
    assert np.array_equal(organs.labels == 2, real.left)
    assert (organs.labels[heart] == 3).all()
    assert (organs.labels == 3).sum() > 1.5 * heart.sum()  # the space between the lungs as well
    assert organs.labels[0, 0, 0] == 0


@pytest.mark.parametrize(
    ("backend", "command"),
    [("lungmask", "pip install lungmask"), ("totalsegmentator", "pip install TotalSegmentator")],
)
def test_a_missing_package_is_named_with_the_command(real, backend, command, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(InputError, match=command):
        segment_organs(real.volume, backend=backend)
