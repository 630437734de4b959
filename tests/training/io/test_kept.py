"""An array that is kept comes back the same, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.io.kept import keep_array, kept_array


def test_no_damage_passes_for_values(tmp_path: Path) -> None:
    file, values = tmp_path / "deep" / "a.npz", np.arange(60, dtype=np.uint8).reshape(3, 20)
    assert kept_array(file) is None
    keep_array(file, values)
    np.testing.assert_array_equal(kept_array(file), values)
    whole = file.read_bytes()
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1
        file.write_bytes(content)
        found = kept_array(file)
        assert found is None or np.array_equal(found, values), position
        file.write_bytes(whole[:position])
        assert kept_array(file) is None
