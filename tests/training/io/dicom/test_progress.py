"""Reading tells how far it is and stops when asked, through the one entry for all kinds of input."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.io import synthetic
from training.io import read_ct
from training.issues import Cancelled


def test_progress_is_told_slice_by_slice(tmp_path: Path) -> None:
    series = synthetic.make_series()
    synthetic.save(tmp_path, series)
    seen: list[tuple[int, int, str]] = []
    read_ct(tmp_path, progress=lambda *step: seen.append(step))
    assert seen[-1] == (len(series), len(series), "read")


def test_reading_stops_when_asked(tmp_path: Path) -> None:
    synthetic.save(tmp_path, synthetic.make_series())
    with pytest.raises(Cancelled):
        read_ct(tmp_path, cancelled=lambda: True)
