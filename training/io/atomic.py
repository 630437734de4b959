"""Files and folders that exist completely or not at all, whatever happens while they are written."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from training.io.regular import is_special
from training.issues import InputError, Issue, error

_MARK = ".partial-"

_WRITE_FAILURES = {
    errno.ENOSPC: ("disk-full", "the disk is full", "Free some space or choose another place."),
    errno.EDQUOT: ("disk-full", "your disk quota is used up", "Free some space or choose another place."),
    errno.EFBIG: ("disk-full", "the disk does not hold files of this size", "Choose another place."),
    errno.EROFS: ("not-writable", "the disk is read-only", "Choose a place you may write to."),
    errno.EACCES: ("not-writable", "writing is not permitted", "Choose a place you may write to."),
    errno.EPERM: ("not-writable", "writing is not permitted", "Choose a place you may write to."),
    errno.ENOTDIR: ("not-writable", "a part of its path is a file, not a folder", "Choose another place."),
    errno.ENAMETOOLONG: ("not-writable", "its name is too long", "Choose a shorter name."),
    errno.EIO: ("disk-failure", "the disk reported a failure", "Choose another disk."),
}


@contextmanager
def atomic_path(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary sibling to write to; when the block ends well it becomes ``path`` in one step.

    The block makes either a file or a folder there. The name ends as that of ``path`` does, so that writers which go
    by the extension work. If the block raises, the sibling is removed and ``path`` is as before. If the process is
    killed, ``path`` is as before too, and the leftover is removed by the next call for the same path. Everything is
    flushed to the disk before it gets its name. Replacing a *folder* takes two renames: killed exactly between them,
    the old folder is gone from ``path`` and the new one not yet there.

    Raises
    ------
    InputError
        If the disk is full, read-only or the place is not writable; code ``disk-full``, ``not-writable``, ... Or if a
        file was made and ``path`` is a folder, a device, a FIFO or a socket, which is left as it is
        (``output-exists``).
    FileExistsError
        If ``path`` exists at the end and ``overwrite`` is False.
    """
    target = Path(path).absolute()
    partial = target.with_name(f"{_MARK}{_owner()}-{secrets.token_hex(4)}.{target.name}")
    try:
        _make_folder(target.parent)
        remove_leftovers(target)
        yield partial
        _flush(partial)
        _publish(partial, target, overwrite)
    except OSError as failure:
        issue = write_issue(target, failure)
        if issue is None:
            raise
        raise InputError(issue) from failure
    finally:
        _remove(partial)


def _make_folder(folder: Path) -> None:
    """Make ``folder``; raises ``InputError`` that names the file, if one stands in its path."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        blocking = next(place for place in (folder, *folder.parents) if place.exists() or place.is_symlink())
        fact = f"{_no_folder_words(blocking)}, so nothing can be written into it"
        raise InputError(error("not-writable", fact, "Choose another place.", blocking.name)) from None


def check_is_no_other_thing(path: Path) -> None:
    """Refuse a file's place that is taken by a folder, a device, a FIFO, a socket, or a link to nowhere.

    Raises
    ------
    InputError
        If one is there, also behind a link: none of them is ever replaced. Code ``output-exists``.
    """
    leads_nowhere = path.is_symlink() and not path.exists()
    if leads_nowhere or path.is_dir() or is_special(path):
        what = "a folder" if path.is_dir() else "a device, a FIFO or a socket"
        what = "a link that leads nowhere" if leads_nowhere else what
        fact = f"cannot be written: {what} of this name exists, and is left as it is"
        raise InputError(error("output-exists", fact, "Choose another name.", path.name))


def check_folder_place(folder: Path, replaced: bool = False) -> None:
    """Refuse a place where no folder can be made or written into; to be asked before work is done for it.

    Parameters
    ----------
    folder
        Where the folder is, or will be made with those above it.
    replaced
        The folder is replaced as a whole, not written into: the one above it must be writable.

    Raises
    ------
    InputError
        A file, a link to nothing or in a circle, there or in the path to it (``output-exists``, ``not-writable``); no
        permission.
    """
    if _is_there(folder) and not folder.is_dir():
        fact = f"{_no_folder_words(folder)}; the output must be a folder"
        raise InputError(error("output-exists", fact, "Choose another name.", folder.name))
    above = folder.absolute().parents
    nearest = next(one for one in ((*above,) if replaced else (folder, *above)) if _is_there(one))
    if not nearest.is_dir():
        fact = f"{_no_folder_words(nearest)}, so nothing can be written into it"
        raise InputError(error("not-writable", fact, "Choose another place.", nearest.name))
    if not os.access(nearest, os.W_OK | os.X_OK):
        fact = f"cannot be written: writing to {nearest.absolute().name or '/'!r} is not permitted"
        raise InputError(error("not-writable", fact, "Choose a place you may write to.", folder.name))


def _no_folder_words(path: Path) -> str:
    return "is a file, not a folder" if path.exists() else "is a link that leads nowhere"


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def readable_by_others(path: Path) -> None:
    """Give a file the permissions that a newly opened one gets; some libraries write theirs for the owner only."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def write_issue(path: Path, failure: OSError) -> Issue | None:
    """Return what ``failure`` means for someone who wanted to write ``path``; None if it is of another kind."""
    if failure.errno not in _WRITE_FAILURES:
        return None
    code, fact, way_out = _WRITE_FAILURES[failure.errno]
    return error(code, f"cannot be written: {fact}", way_out, file=path.name)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes of this machine left beside ``path``."""
    for leftover in path.parent.glob(f"{_MARK}*.{_escaped(path.name)}"):
        host, _, pid = leftover.name[len(_MARK) :].split("-", 2)[0].partition("_")
        if host == _host() and pid.isdigit() and not _is_running(int(pid)):
            _remove(leftover)


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _owner() -> str:
    return f"{_host()}_{os.getpid()}"


def _is_running(pid: int) -> bool:
    if os.name == "nt":  # there, signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush(path: Path) -> None:
    """Bring ``path``, and all that is in it if it is a folder, to the disk."""
    if path.is_dir():
        for item in path.iterdir():
            _flush(item)
    _sync(path)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _publish(partial: Path, target: Path, overwrite: bool) -> None:
    if not overwrite and target.exists():
        raise FileExistsError(errno.EEXIST, "exists already", target.name)
    if not partial.is_dir():
        check_is_no_other_thing(target)
    if target.is_dir():
        replaced = partial.with_name(f"{_MARK}{_owner()}-old-{secrets.token_hex(4)}.{target.name}")
        target.rename(replaced)
        partial.replace(target)
        _remove(replaced)
    else:
        partial.replace(target)
    _sync(target.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(NotADirectoryError):  # a part of its path is a file, so it is not there
            path.unlink(missing_ok=True)
