from __future__ import annotations

import sys
from pathlib import Path

import pytest

from training.io.disks import file_system, is_local, type_in

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/me/scratch rw shared:3 master:1 - xfs /dev/sdb rw
32 22 0:42 / /mnt/with\\040blank rw - fuse.sshfs me@host: rw
not a line of a mount table
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/store", "ext4"),
        ("/home/me/store", "nfs4"),
        ("/home", "nfs4"),
        ("/homes/store", "ext4"),
        ("/home/me/scratch/store", "xfs"),
        ("/mnt/with blank/store", "fuse.sshfs"),
    ],
)
def test_the_innermost_mount_decides(path: str, kind: str) -> None:
    assert type_in(MOUNTS, Path(path)) == kind


def test_a_later_mount_on_the_same_point_hides_the_earlier() -> None:
    assert type_in(MOUNTS + "40 22 0:50 / /home rw - tmpfs tmpfs rw\n", Path("/home/me")) == "tmpfs"


def test_only_what_one_machine_alone_writes_is_local() -> None:
    assert is_local("ext4")
    assert is_local("overlay")
    for kind in ("nfs", "nfs4", "cifs", "lustre", "fuse.sshfs", "9p", "virtiofs", "unknown", "not-thought-of"):
        assert not is_local(kind)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's table of mounts")
def test_the_type_of_a_real_folder_is_found(tmp_path: Path) -> None:
    assert file_system(tmp_path) != "unknown"
    assert file_system(tmp_path / "not there yet") == file_system(tmp_path)
