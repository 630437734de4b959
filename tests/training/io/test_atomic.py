"""Files and folders appear whole or not at all, also when the process is killed."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.io import atomic
from training.io.atomic import atomic_path, check_folder_place
from training.issues import InputError


def test_file_and_folder_appear_at_the_end_only(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "deep" / "a.nii.gz") as partial:
        partial.write_text("x")
        assert partial.name.endswith(".nii.gz")
        assert not (tmp_path / "deep" / "a.nii.gz").exists()
    assert (tmp_path / "deep" / "a.nii.gz").read_text() == "x"
    with atomic_path(tmp_path / "folder") as partial:
        (partial / "inner").mkdir(parents=True)
        (partial / "inner" / "b").write_text("y")
    assert (tmp_path / "folder" / "inner" / "b").read_text() == "y"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["deep", "folder"]


@pytest.mark.parametrize("failure", [RuntimeError("no"), KeyboardInterrupt()])
def test_failure_leaves_what_was_there(tmp_path: Path, failure: BaseException) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(type(failure)), atomic_path(tmp_path / "a") as partial:  # noqa: PT012 - fails inside
        partial.write_text("half")
        raise failure
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_replacing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")
    with atomic_path(tmp_path / "folder") as partial:
        partial.mkdir()
        (partial / "new").write_text("new")
    assert [item.name for item in (tmp_path / "folder").iterdir()] == ["new"]
    with pytest.raises(FileExistsError), atomic_path(tmp_path / "folder", overwrite=False) as partial:
        partial.write_text("x")
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk-full"), (errno.EACCES, "not-writable"), (errno.EROFS, "not-writable")]
)
def test_refusals_of_the_disk_are_said_in_words(tmp_path: Path, number: int, code: str) -> None:
    refused = pytest.raises(InputError, match="out: cannot be written")
    with refused as failure, atomic_path(tmp_path / "out") as partial:
        partial.write_text("half")
        raise OSError(number, os.strerror(number))
    assert failure.value.issues[0].code == code
    assert list(tmp_path.iterdir()) == []


def test_other_failures_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out"):
        (tmp_path / "nothing").read_text()


def test_leftovers_of_dead_processes_are_removed_and_of_living_ones_kept(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    host = atomic._host()
    gone = tmp_path / f".partial-{host}_{int(dead.stdout)}-ab12.out"
    alive = tmp_path / f".partial-{host}_{os.getpid()}-ab12.out"
    elsewhere = tmp_path / f".partial-000000_{int(dead.stdout)}-ab12.out"
    other = tmp_path / f".partial-{host}_{int(dead.stdout)}-ab12.other"
    for folder in (gone, alive, elsewhere, other):
        (folder / "inner").mkdir(parents=True)
    with atomic_path(tmp_path / "out") as partial:
        partial.write_text("x")
    assert [folder.exists() for folder in (gone, alive, elsewhere, other)] == [False, True, True, True]


WRITER = """
import sys
from pathlib import Path
from training.io.atomic import atomic_path
print("ready", flush=True)
with atomic_path(sys.argv[1]) as partial:
    for k in range(60):
        (partial / str(k)).mkdir(parents=True)
        (partial / str(k) / "data").write_bytes(bytes([k]) * 20000)
print("done", flush=True)
"""


def is_complete(folder: Path) -> bool:
    return all((folder / str(k) / "data").read_bytes() == bytes([k]) * 20000 for k in range(60))


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_killed_at_any_moment_there_is_nothing_or_everything(tmp_path: Path) -> None:
    out = tmp_path / "out"
    moments = random.Random(0)  # noqa: S311 - moments, not secrets
    for _ in range(8):
        command = [sys.executable, "-c", WRITER, str(out)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        if out.exists():
            assert is_complete(out)
    subprocess.run([sys.executable, "-c", WRITER, str(out)], check=True, capture_output=True)  # noqa: S603
    assert is_complete(out)
    leftovers = [item for item in tmp_path.iterdir() if item != out]
    assert leftovers == []


def test_a_file_never_replaces_a_folder(tmp_path: Path) -> None:
    precious = tmp_path / "out" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years")
    with pytest.raises(InputError, match="a folder of this name exists"), atomic_path(tmp_path / "out") as partial:
        partial.write_text("labels")
    assert precious.read_text() == "years"
    assert [item.name for item in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("place", ["file/a.txt", "file/deep/down/a.txt"])
def test_a_file_in_the_path_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="file: is a file, not a folder"), atomic_path(tmp_path / place):
        pass
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.skipif(os.name == "nt", reason="FIFOs of POSIX")
def test_a_file_never_replaces_a_fifo_also_behind_a_link(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out")
    (tmp_path / "link").symlink_to("out")
    for name in ("out", "link"):
        with pytest.raises(InputError, match="a device, a FIFO or a socket"), atomic_path(tmp_path / name) as partial:
            partial.write_text("labels")
    assert (tmp_path / "out").is_fifo()
    assert {item.name for item in tmp_path.iterdir()} == {"out", "link"}


@pytest.mark.parametrize("replaced", [True, False])
def test_places_where_no_folder_can_be_are_refused_beforehand(tmp_path: Path, replaced: bool) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    for name, words in (
        ("file", "file: is a file, not a folder; the output"),
        ("file/in", "file: is a file, not a folder, so nothing"),
        ("dangling", "dangling: is a link that leads nowhere; the output"),
        ("dangling/in", "dangling: is a link that leads nowhere, so nothing"),
        ("loop", "loop: is a link that leads nowhere"),
        ("loop/in/it", "loop: is a link that leads nowhere"),
    ):
        with pytest.raises(InputError, match=words):
            check_folder_place(tmp_path / name, replaced)
    check_folder_place(tmp_path / "new" / "deep", replaced)
    check_folder_place(tmp_path, replaced)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["dangling", "file", "loop"]
