"""Where verdicts are kept: SQLite files in the folder ``audit`` of a store, each entry on the disk before it counts.

On a disk of this machine all windows and reviewers share ``verdicts.sqlite`` with a write-ahead log. Over a network
SQLite's shared memory and file locks cannot be relied on, so there every reviewer writes a file of their own (a second
window of the same reviewer another one), and all of them are merged on reading. Both kinds may lie side by side, as
when a store was copied from one disk to the other.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from training.evaluate.audit.verdicts import COLUMNS, Entry, in_order, not_undone, of_model
from training.io.atomic import write_issue
from training.io.disks import file_system, is_local
from training.issues import InputError, error

FOLDER: Final = "audit"
"""Inside the store."""

SHARED_FILE: Final = "verdicts.sqlite"
PATTERN: Final = "verdicts*.sqlite"
APPLICATION_ID: Final = 0x48697241
SCHEMA_VERSION: Final = 1
BUSY_SECONDS: Final = 30.0

_TABLE = f"""CREATE TABLE IF NOT EXISTS entries (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  {", ".join(f"{name} TEXT{'' if name in ('verdict', 'undoes') else ' NOT NULL'}" for name in COLUMNS)}, UNIQUE (id))"""
_INSERT = f"INSERT INTO entries ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)})"  # noqa: S608
_SELECT = f"SELECT number, {', '.join(COLUMNS)} FROM entries WHERE number > ? ORDER BY number"  # noqa: S608


class VerdictLog:
    """The verdicts on one store, as one reviewer's window reads and writes them.

    An entry that :meth:`add` or :meth:`undo` returned is on the disk. Entries of other windows appear on the next
    :meth:`entries`.

    Parameters
    ----------
    folder
        Folder of the files; made if missing.
    reviewer
        Who writes.
    kind
        Type of the file system, found out by default.

    Raises
    ------
    InputError
        If the folder cannot be written, or a file in it is damaged or of a newer schema.
    """

    def __init__(self, folder: str | os.PathLike[str], reviewer: str, kind: str | None = None) -> None:
        self.folder = Path(folder)
        self.reviewer = " ".join(reviewer.split())
        if not self.reviewer:
            raise InputError(error("no-reviewer", "the reviewer has no name", "Give one with --reviewer NAME."))
        with _writable(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.kind = file_system(self.folder) if kind is None else kind
        self._window = secrets.token_hex(8)
        self._claim: Path | None = None
        self._seen: dict[Path, int] = {}
        self._entries: dict[str, Entry] = {}
        self._latest = ""
        self.file = self._own_file()
        with _writable(self.file), _understood(self.file):
            self._connection = _opened(self.file, write_ahead=self.shared)
        self.entries()

    @property
    def shared(self) -> bool:
        """True if all windows write into one file."""
        return is_local(self.kind)

    def add(self, entry: Entry) -> Entry:
        """Write ``entry`` and return it with identity and time; it is on the disk then.

        Raises
        ------
        InputError
            If it could not be written; nothing has changed then.
        """
        made = replace(entry, reviewer=self.reviewer, id=secrets.token_hex(16), time=self._now(), window=self._window)
        with _writable(self.file), _understood(self.file):
            self._connection.execute(_INSERT, made.to_row())
        self._take(made)
        return made

    def undo(self, model_sha256: str) -> Entry | None:
        """Take back this reviewer's latest entry about the maps of a model and return it; None if there is none."""
        known, _ = of_model(self.entries(), model_sha256)
        own = [entry for entry in not_undone(known) if entry.reviewer == self.reviewer]
        if not own:
            return None
        last = own[-1]
        self.add(replace(last, verdict=None, tags=(), comment="", view={}, facts={}, undoes=last.id))
        return last

    def entries(self) -> list[Entry]:
        """Return all entries of all reviewers, oldest first; what others wrote since is read."""
        for file in sorted({*self.folder.glob(PATTERN), self.file}):
            after = self._seen.get(file, 0)
            for row in self._own_rows(after) if file == self.file else _rows(file, after):
                with _understood(file):
                    self._take(Entry.from_row(dict(row)))
                self._seen[file] = row["number"]
        return in_order(self._entries.values())

    def _own_rows(self, after: int) -> list[sqlite3.Row]:
        with _understood(self.file):
            return self._connection.execute(_SELECT, (after,)).fetchall()

    def close(self) -> None:
        """Close the file; the log can be opened again."""
        self._connection.close()
        if self._claim is not None:
            self._claim.unlink(missing_ok=True)
            self._claim = None

    def __enter__(self) -> VerdictLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        self._latest = max(self._latest, entry.time)

    def _now(self) -> str:
        """Return the time, later than that of every entry known: clocks of several machines need not agree."""
        now = datetime.now(UTC)
        if self._latest:
            now = max(now, datetime.fromisoformat(self._latest) + timedelta(microseconds=1))
        return now.isoformat(timespec="microseconds")

    def _own_file(self) -> Path:
        if self.shared:
            return self.folder / SHARED_FILE
        stem = f"verdicts-{_file_name(self.reviewer)}"
        number = 1
        while not self._claimed(self.folder / f"{stem}-{number}.lock"):
            number += 1
        return self.folder / f"{stem}-{number}.sqlite"

    def _claimed(self, lock: Path) -> bool:
        """Take ``lock`` unless a window that may still be open has it."""
        me = f"{_host()} {os.getpid()}"
        with _writable(lock):
            for _ in range(2):
                try:
                    with lock.open("x", encoding="utf-8") as stream:
                        stream.write(me)
                except FileExistsError:
                    if not _is_stale(lock):
                        return False
                    lock.unlink(missing_ok=True)
                else:
                    self._claim = lock
                    return True
        return False


def read_log(folder: str | os.PathLike[str]) -> list[Entry]:
    """Return all entries in ``folder``, oldest first, without writing anything there; none if it does not exist.

    Raises
    ------
    InputError
        If a file is damaged or of a newer schema.
    """
    found: dict[str, Entry] = {}
    for file in sorted(Path(folder).glob(PATTERN)):
        rows = _rows(file)
        with _understood(file):
            found |= {row["id"]: Entry.from_row(dict(row)) for row in rows}
    return in_order(found.values())


def _file_name(reviewer: str) -> str:
    """Return a name for files that tells reviewers apart whatever their names are made of."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in reviewer)[:24]
    return f"{plain}-{hashlib.sha256(reviewer.encode()).hexdigest()[:8]}"


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_stale(lock: Path) -> bool:
    """Say whether ``lock`` was left by a process of this machine that is gone; of other machines nothing is known."""
    try:
        host, _, pid = lock.read_text(encoding="utf-8").partition(" ")
    except FileNotFoundError:
        return True
    if host != _host() or not pid.isdigit() or os.name == "nt":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _opened(file: Path, write_ahead: bool) -> sqlite3.Connection:
    """Return a connection that has every statement on the disk when it returns."""
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        _set_journal(connection, "WAL" if write_ahead else "DELETE")
        connection.execute(f"PRAGMA synchronous={'FULL' if write_ahead else 'EXTRA'}")
        if _version_of(connection) == 0:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _set_journal(connection: sqlite3.Connection, mode: str) -> None:
    """Choose how changes are journalled; SQLite does not wait by itself if others do so now."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode={mode}")
        except sqlite3.OperationalError as failure:
            if "locked" not in str(failure) or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _rows(file: Path, after: int = 0) -> list[sqlite3.Row]:
    """Return what another window wrote to ``file``, which is never changed by this.

    What a killed process left half-written has to be rolled back before the file can be read. That is done on a copy:
    the process may be alive on another machine.
    """
    with _understood(file):
        try:
            return _read_only(file, after)
        except sqlite3.OperationalError as failure:
            if failure.sqlite_errorname not in _NEEDS_COPY:
                raise
        with tempfile.TemporaryDirectory() as folder:
            for part in file.parent.glob(f"{file.name}*"):
                shutil.copyfile(part, Path(folder, part.name))
            with closing(_opened(Path(folder, file.name), write_ahead=False)) as connection:
                return connection.execute(_SELECT, (after,)).fetchall()


_NEEDS_COPY = ("SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_CANTINIT", "SQLITE_READONLY_RECOVERY", "SQLITE_CANTOPEN")
"""Errors of SQLite on reading a file that would have to be recovered first, or whose folder cannot be written."""


def _read_only(file: Path, after: int) -> list[sqlite3.Row]:
    address = f"{file.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection:
        connection.row_factory = sqlite3.Row
        written = _version_of(connection) > 0
        return connection.execute(_SELECT, (after,)).fetchall() if written else []


class _NewerSchema(Exception):  # noqa: N818 - turned into words below
    pass


def _version_of(connection: sqlite3.Connection) -> int:
    """Return the schema of a file, 0 before its table was made."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise _NewerSchema(f"is of schema {version}, this program reads schema {SCHEMA_VERSION}")
    return version


@contextmanager
def _understood(file: Path) -> Iterator[None]:
    """Turn what SQLite says of ``file`` into words."""
    try:
        yield
    except _NewerSchema as newer:
        raise InputError(error("wrong-schema", str(newer), "Update hirescam-napari.", file.name)) from newer
    except sqlite3.OperationalError as failure:
        fact = f"the verdicts cannot be read or written: {failure}"
        way_out = "Check that the disk has room and may be written to, and that no other program holds the file."
        raise InputError(error("verdicts-not-reachable", fact, way_out, file.name)) from failure
    except (sqlite3.DatabaseError, ValueError, IndexError) as failure:
        way_out = "Put the file aside (its other copies are merged without it), or bring back a copy of it."
        raise InputError(error("damaged-verdicts", f"is damaged ({failure})", way_out, file.name)) from failure


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        if isinstance(failure, FileExistsError) and failure.errno == errno.EEXIST and path.exists():
            fact, way_out = "is a file where the folder of the verdicts should be", "Move it away."
            raise InputError(error("not-writable", fact, way_out, path.name)) from failure
        issue = write_issue(path, failure)
        if issue is None:
            raise
        raise InputError(issue) from failure
