"""Work in several processes: the same results, stopped cleanly by Ctrl-C, and no worker outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from training.cohort.phantom import PhantomGrid, write_cohort
from training.cohort.processes import in_processes
from training.issues import Cancelled

ROOT = Path(__file__).resolve().parents[3]
TINY = PhantomGrid((24, 32, 32), (13.4, 10.4, 10.4))
SCRIPT = """
import sys
from training.cohort.phantom import PhantomGrid, write_cohort
grid = PhantomGrid((24, 96, 96), (13.4, 3.5, 3.5))
write_cohort(sys.argv[1], 200, 0, grid, processes=2)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_phantoms_are_the_same_files_however_many_processes_make_them(tmp_path: Path) -> None:
    steps: list[int] = []
    one = write_cohort(tmp_path / "one", 5, 20, TINY)
    write_cohort(tmp_path / "two", 2, 21, TINY)  # an interrupted one goes on
    kept = (tmp_path / "two" / "phantom-000021" / "ct.nii.gz").stat().st_mtime_ns
    two = write_cohort(tmp_path / "two", 5, 20, TINY, lambda done, *_: steps.append(done), processes=2)
    assert contents(one) == contents(two)
    assert len(contents(one)) == 5 * 5 + 3
    assert steps == [1, 2, 3, 4, 5]
    assert (two / "phantom-000021" / "ct.nii.gz").stat().st_mtime_ns == kept


def started(out: Path) -> Any:
    """Return a process in a group of its own, which has made a phantom and is at others."""
    made = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", SCRIPT, str(out)], cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("phantom-*")):
        assert made.poll() is None, made.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return made


def test_ctrl_c_leaves_whole_phantoms_alone_and_workers_say_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(out)
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == -signal.SIGINT or "KeyboardInterrupt" in told
    assert told.count("Traceback") <= 1  # that of the script itself
    assert [path.name for path in out.iterdir() if not path.name.startswith("phantom-")] == []
    assert 1 <= len(list(out.iterdir())) < 200
    assert all((path / "truth.json").is_file() for path in out.iterdir())


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    process = started(tmp_path / "out")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while is_running(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    made = len(list((tmp_path / "out").glob("phantom-*")))
    assert 1 <= made < 200


def is_running(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_process_works_here_and_stops_when_asked() -> None:
    asked = iter([False, False, True])
    results = in_processes(lambda seed: seed * seed, range(5), 1, lambda: next(asked))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(Cancelled):
        next(results)
