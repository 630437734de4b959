"""Every plantable finding: where it is, what it does to the HU, what labels and report say of it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from training.cohort.phantom import PLANTABLE, Phantom, PhantomGrid, Wish, make_phantom
from training.cohort.phantom.build import plan_phantom
from training.cohort.phantom.findings import IDEAS
from training.labels import all_labels, find_label

TINY = PhantomGrid((48, 64, 64), (6.7, 5.2, 5.2))
SEED = 5
RAISED = dict.fromkeys(PLANTABLE, True) | {"emphysema": False, "pneumothorax": False}
IN_LUNG = {
    "atelectasis", "bronchiectasis", "consolidation", "emphysema", "groundglass", "pleural effusion", "pneumothorax",
    "bandlike or linear", "honeycombing", "lung mass", "lung nodule", "lung nodulegr1cm",
}  # fmt: skip
IN_MEDIASTINUM = {
    "cardiomegaly", "pericardial effusion", "great vessel calcification", "mediastinum lymphadenopathy", "heart stent",
    "heart calcification", "coronary artery disease",
}  # fmt: skip
SIDED = {
    "atelectasis", "bronchiectasis", "consolidation", "groundglass", "pleural effusion", "pneumothorax", "lung mass",
    "bandlike or linear", "lung nodule", "lung nodulegr1cm", "chest tube",
}  # fmt: skip
WORDS = {
    "lung nodulegr1cm": "nodule", "lung nodule": "nodule", "lung mass": "mass", "bandlike or linear": "linear",
    "groundglass": "ground", "heart calcification": "coronary", "coronary artery disease": "coronary",
    "great vessel calcification": "aort", "pacemaker or defib": "pacemaker", "heart stent": "stent",
    "great vessel catheter or port": "catheter", "mediastinum lymphadenopathy": "mediastinal lymph",
}  # fmt: skip


@cache
def planted(name: str | None, seed: int = SEED) -> Phantom:
    return make_phantom(seed, TINY, "none" if name is None else (name,))


def test_the_demanded_labels_are_plantable() -> None:
    assert len(PLANTABLE) >= 20
    assert set(WORDS) | IN_LUNG | IN_MEDIASTINUM | {"chest tube", "sternotomy"} == set(PLANTABLE)
    assert all(find_label(name).name == name for name in PLANTABLE)


def test_a_normal_phantom_has_no_finding() -> None:
    normal = planted(None)
    assert normal.findings == ()
    assert set(normal.labels) == {label.name for label in all_labels()}
    assert not any(normal.labels.values())


@pytest.mark.parametrize("name", PLANTABLE)
def test_labels_and_report_say_what_is_planted(name: str) -> None:
    phantom = planted(name)
    idea = min((i for i in IDEAS if name in i.labels), key=lambda i: len(i.labels))
    assert {label for label, present in phantom.labels.items() if present} == set(idea.labels)
    assert {f.label for f in phantom.findings} == set(idea.labels)
    for finding in phantom.findings:
        assert finding.sentence in phantom.report
        assert WORDS.get(finding.label, finding.label) in finding.sentence.lower()
        if finding.side is not None:
            assert finding.side in finding.sentence.lower()


@pytest.mark.parametrize("name", PLANTABLE)
def test_hu_change_in_the_mask_and_nowhere_far_from_it(name: str) -> None:
    change = planted(name).volume.hu.astype(int) - planted(None).volume.hu
    mask = np.any([f.mask for f in planted(name).findings], axis=0)
    assert mask.any()
    inside = change[mask].mean()
    assert inside > 40 if RAISED[name] else inside < -40
    reach = ndimage.distance_transform_edt(~mask, sampling=TINY.spacing_mm)
    moved = np.abs(change) * 1.0
    assert moved[reach > 12].sum() < (0.03 if name == "cardiomegaly" else 0.006) * moved.sum()
    if name != "cardiomegaly":  # there the great vessels follow the heart
        assert not change[reach > 35].any(), f"changed up to {reach[change != 0].max():.1f} mm away"


@pytest.mark.parametrize("name", PLANTABLE)
def test_a_finding_lies_in_its_organ(name: str) -> None:
    for finding in planted(name).findings:
        organ = planted(name).organs[finding.mask]
        if name in IN_LUNG:
            wanted = {"right": [1], "left": [2], None: [1, 2]}[finding.side]
            assert np.isin(organ, wanted).mean() > 0.95
        elif name in IN_MEDIASTINUM:
            assert (organ == 3).mean() > 0.6


@pytest.mark.parametrize("name", PLANTABLE)
def test_the_centre_lies_in_the_mask_on_its_side_of_the_spine(name: str) -> None:
    phantom = planted(name)
    assert (name in SIDED) <= all(f.side is not None for f in phantom.findings)
    for finding in phantom.findings:
        index = phantom.volume.geometry.to_index(finding.centre_mm)
        assert np.abs(index - np.rint(index)).max() < 1e-6
        assert finding.mask[tuple(np.rint(index).astype(int))]
        assert finding.diameter_mm > 0
        if name in SIDED:
            spine = plan_phantom(SEED, (name,))[0].person.bend.dx(np.array(finding.centre_mm[2]))
            assert np.sign(finding.centre_mm[0] - spine) == (1 if finding.side == "left" else -1)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_wish_decides_side_and_size(side: str) -> None:
    wish = Wish(side=side, diameter_mm=40.0)  # type: ignore[arg-type]
    (mass,) = make_phantom(7, TINY, {"lung mass": wish}).findings
    assert mass.side == side
    assert mass.diameter_mm == 40.0
    ball = (6 * len(mass.indices) * TINY.geometry.voxel_mm3 / np.pi) ** (1 / 3)
    assert ball == pytest.approx(40, abs=8)


def test_sizes_follow_the_labels() -> None:
    for seed in range(6):
        sizes = {n: make_phantom(seed, TINY, (n,)).findings[0].diameter_mm for n in ("lung nodule", "lung mass")}
        assert sizes["lung nodule"] < 10
        assert sizes["lung mass"] >= 30
        assert make_phantom(seed, TINY, ("lung nodulegr1cm",)).findings[0].diameter_mm > 10


def test_one_finding_does_not_move_another() -> None:
    alone = planted("pacemaker or defib").findings[0]
    both = make_phantom(SEED, TINY, ("sternotomy", "pacemaker or defib")).findings
    assert any(f.label == alone.label and f.centre_mm == alone.centre_mm for f in both)


@pytest.mark.parametrize("name", ["sternotomy", "heart stent", "great vessel calcification", "chest tube"])
def test_thin_things_carry_the_same_metal_at_any_resolution(name: str) -> None:
    fine = PhantomGrid((108, 108, 108), (3.0, 3.0, 3.0))
    excess = []
    for grid in (TINY, fine):
        with_, without = make_phantom(SEED, grid, (name,)), make_phantom(SEED, grid, "none")
        change = with_.volume.hu.astype(float) - without.volume.hu
        excess.append(change.sum() * grid.geometry.voxel_mm3)
    assert excess[0] == pytest.approx(excess[1], rel=0.25)


def test_unknown_findings_are_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match=r"plantable are: .*lung nodule"):
        make_phantom(0, TINY, ("heart transplant",))
    with pytest.raises(KeyError, match="no label is called"):
        make_phantom(0, TINY, ("broken heart",))
    with pytest.raises(ValueError, match="not 'nodule'"):
        make_phantom(0, TINY, "nodule")  # type: ignore[arg-type]
