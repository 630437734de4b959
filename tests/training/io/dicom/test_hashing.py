"""The hash of a volume does not depend on how its slices came."""

import numpy as np
import pytest

from training.io.dicom import read_dicom
from training.io.dicom.hashing import SliceHash
from training.volume import pixels_sha256


@pytest.mark.parametrize("turn", [lambda a: a, lambda a: a[::-1], lambda a: a.transpose(1, 0, 2), lambda a: a[:, ::-1]])
@pytest.mark.parametrize("done", [range(6), (5, 0, 3, 1, 2, 4), (2, 3), ()])
def test_slices_in_any_order_give_the_hash_of_the_whole(ct, turn, done):
    hu = ct.phantom((6, 6, 6))
    with SliceHash(hu, turn(hu)) as digest:
        for k in done:
            digest.slice_is_done(k)
        assert digest.hexdigest() == pixels_sha256(hu)


def test_the_provenance_holds_the_hash_of_the_voxels(tmp_path, ct):
    for k, options in enumerate(({}, {"orientation": (1, 0, 0, 0, 0, -1)})):
        volume = read_dicom(ct.save(tmp_path / str(k), ct.make_series(**options)))
        assert volume.provenance.pixels_sha256 == pixels_sha256(volume.hu)
        other = np.array(volume.hu)
        other[0, 0, 0] += 1
        assert volume.provenance.pixels_sha256 != pixels_sha256(other)
