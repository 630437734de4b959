"""Several processes fill one folder of organ cells: one is killed midway, the others go on, nothing is half-written."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.cohort.sources import CohortDataset, PhantomCohort, open_cohort
from training.fit.regions import RegionRequest, region_request
from training.fit.settings import LossSettings
from training.geometry import CellLayout, ReceptiveField
from training.io.kept import kept_array
from training.preprocess import InputSpec

SPEC = InputSpec((13.5, 7.0, 7.0), (24, 40, 40))
FIELD = ReceptiveField(8, 8, 3.5)
CELLS = CellLayout((8, 5, 5), (ReceptiveField(3, 3, 1), FIELD, FIELD))
WAYS = ("nearest", "fraction", "area", "trilinear")

FILLER = """
import hashlib, sys
from pathlib import Path
from training.cohort.sources import PhantomCohort, open_cohort
from training.fit.regions import region_request
from training.fit.settings import LossSettings
from training.geometry import CellLayout, ReceptiveField
from training.preprocess import InputSpec
spec, field = InputSpec((13.5, 7.0, 7.0), (24, 40, 40)), ReceptiveField(8, 8, 3.5)
cells = CellLayout((8, 5, 5), (ReceptiveField(3, 3, 1), field, field))
splits = open_cohort(PhantomCohort(Path(sys.argv[1])), spec, Path(sys.argv[2]))
for way in ("nearest", "fraction", "area", "trilinear"):
    request = region_request(LossSettings(mask="authors", mask_downsampling=way), spec, cells)
    for name in ("train", "valid", "test"):
        sys.stdin.readline()
        print(hashlib.sha256(splits[name].organ_cells(0, request).tobytes()).hexdigest(), flush=True)
"""


def _request(way: str) -> RegionRequest:
    return region_request(LossSettings(mask="authors", mask_downsampling=way), SPEC, CELLS)  # type: ignore[arg-type]


def _expected(cohort: Path) -> Iterator[str]:
    """Digests of what no cache gives, in the order of the processes."""
    splits = open_cohort(PhantomCohort(cohort), SPEC)
    for way in WAYS:
        for name in ("train", "valid", "test"):
            yield hashlib.sha256(splits[name].organ_cells(0, _request(way)).tobytes()).hexdigest()


def _start(cohort: Path, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FILLER, str(cohort), str(cache)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603


def _go_on(process: subprocess.Popen[str], lines: int) -> None:
    assert process.stdin is not None
    process.stdin.write("\n" * lines)
    process.stdin.flush()


def test_processes_share_a_folder_and_one_is_killed_midway(phantoms: Path, tmp_path: Path) -> None:
    cache, expected = tmp_path / "cache", list(_expected(phantoms))
    killed, others = _start(phantoms, cache), [_start(phantoms, cache) for _ in range(2)]
    with contextlib.ExitStack() as ended, killed:
        for process in others:
            ended.callback(process.kill)
        assert killed.stdout is not None
        _go_on(killed, 5)
        seen = [killed.stdout.readline().strip() for _ in range(4)]
        time.sleep(0.002)
        killed.send_signal(signal.SIGKILL)  # while it makes the fifth
        killed.wait()  # until then it counts as running
        for process in others:
            _go_on(process, len(expected))
        found = [process.communicate()[0].split() for process in others]
    assert [process.returncode for process in others] == [0, 0]
    assert seen == expected[:4]
    assert found == [expected, expected]
    assert list(cache.rglob(".partial*")) == []
    assert len(list((cache / "organ-cells").rglob("*.npz"))) == len(expected)


@pytest.fixture
def phantom(phantoms: Path, tmp_path: Path) -> CohortDataset:
    return open_cohort(PhantomCohort(phantoms), SPEC, tmp_path / "cache")["train"]


@pytest.mark.parametrize("damage", ["gone", "cut off", "a flipped byte"])
def test_damaged_cells_are_made_anew(phantom: CohortDataset, damage: str) -> None:
    expected = replace(phantom, cache=None).organ_cells(0, _request("area"))
    phantom.organ_cells(0, _request("area"))
    assert phantom.cache is not None
    (kept,) = (phantom.cache.folder / "organ-cells").rglob("*.npz")
    whole = kept.read_bytes()
    left = {"gone": 0, "cut off": 100}.get(damage, len(whole))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    kept.write_bytes(flipped[:left])
    np.testing.assert_array_equal(phantom.organ_cells(0, _request("area")), expected)
    np.testing.assert_array_equal(kept_array(kept), expected)
