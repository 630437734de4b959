"""What a run tells while it goes: a CSV row a step and an epoch, TensorBoard's files, and the time that is left.

Records count epochs and steps from 0, as the run does; files count them from 1, as people do.
"""

from __future__ import annotations

import csv
import io
import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.fit.state import EpochRecord, Place
from training.io.atomic import atomic_path
from training.issues import InputError, error, warning
from training.words import counted_of

if TYPE_CHECKING:
    from training.fit.board import Board

STEPS_FILE, EPOCHS_FILE, TENSORBOARD_FOLDER = "steps.csv", "epochs.csv", "tensorboard"


@dataclass(frozen=True)
class StepRecord:
    """One step of the weights.

    ``loss`` and ``mask_loss`` (before its weight; None without) are means over the step's ``cases``, of all processes;
    ``data_wait_seconds`` of ``seconds`` went by waiting for CTs, in the main process.
    """

    epoch: int
    step: int
    cases: int
    loss: float
    mask_loss: float | None
    learning_rate: float
    seconds: float
    data_wait_seconds: float


class RunLog:
    """Writes ``steps.csv``, ``epochs.csv`` and TensorBoard's files into a run's folder; nothing without one.

    Logs of an earlier version, which counted from 0, are counted anew when their run goes on.

    Every step is in its files when :meth:`step` returns, so a kill takes nothing that a kept state counts as done but
    the epoch that this state ended: it is logged again when the run goes on, with its last step, under a mark that
    makes TensorBoard drop what it has from that step on. Without TensorBoard's files all is logged again.

    Parameters
    ----------
    folder
        Of the run; None in processes that write nothing.
    place
        Where the run goes on; what an earlier one logged beyond it is dropped.
    tensorboard
        Whether TensorBoard's files are written.
    tell
        Called with one line if the log of steps lacks some that were made.

    Raises
    ------
    InputError
        If a file stands where TensorBoard's folder should be, or the logs cannot be written.
    """

    def __init__(
        self, folder: Path | None, place: Place, tensorboard: bool, tell: Callable[[str], None] | None = None
    ) -> None:
        self._folder = folder
        self._stream: io.TextIOWrapper | None = None
        self._board: Board | None = None
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        if tensorboard:
            _check_board(folder / TENSORBOARD_FOLDER)
        anew = counts_from_0(folder / STEPS_FILE)
        missing = rewrite_steps(folder / STEPS_FILE, place.steps_done)
        if missing and tell is not None:
            tell(_missing_words(missing, place.steps_done))
        if place.history:
            self._write_epochs(place)
        self._stream = (folder / STEPS_FILE).open("a", newline="", encoding="utf-8", buffering=1)
        if tensorboard:
            self._open_board(folder, place, anew or not place.steps_done)

    def _open_board(self, folder: Path, place: Place, anew: bool) -> None:
        """Go on with TensorBoard's files from ``place``, or (``anew``) put new ones in the place of those there are."""
        from training.fit.board import Board

        board = folder / TENSORBOARD_FOLDER
        if anew:
            shutil.rmtree(board, ignore_errors=True)
        since = 1 if anew or not any(board.glob("events.*")) else place.steps_done
        self._board = Board(board, None if anew else since)
        self._replay(folder / STEPS_FILE, place, since)

    def step(self, record: StepRecord) -> None:
        """Add a step."""
        row = counted_from_1(record)
        if self._stream is not None:
            csv.writer(self._stream, lineterminator="\n").writerow(row.values())
        self._scalars("step", row, row["step"])

    def epoch(self, place: Place) -> None:
        """Write all epochs, of which the last is new."""
        self._write_epochs(place)
        self._scalars("epoch", counted_from_1(place.history[-1]), place.steps_done)

    def close(self) -> None:
        """Finish the files."""
        if self._stream is not None:
            self._stream.close()
        if self._board is not None:
            self._board.close()

    def _write_epochs(self, place: Place) -> None:
        if self._folder is not None:
            with atomic_path(self._folder / EPOCHS_FILE) as partial:
                partial.write_text(table(EpochRecord, map(counted_from_1, place.history)), encoding="utf-8")

    def _replay(self, steps: Path, place: Place, since: int) -> None:
        """Give TensorBoard what was logged from step ``since`` on: rows of ``steps``, and epochs that ended there."""
        last: dict[int, int] = {}
        for row in _rows(steps):
            step = last[int(row["epoch"])] = int(row["step"])
            if step >= since:
                self._scalars("step", {name: float(value) for name, value in row.items() if value}, step)
        for record in map(counted_from_1, place.history):
            if last.get(record["epoch"], 0) >= since:
                self._scalars("epoch", record, last[record["epoch"]])

    def _scalars(self, group: str, values: dict[str, Any], step: int) -> None:
        if self._board is not None:
            logged = {k: v for k, v in values.items() if k not in ("step", "epoch", "cases") and v is not None}
            self._board.scalars({f"{group}/{name}": value for name, value in logged.items()}, step)


def counted_from_1(record: StepRecord | EpochRecord) -> dict[str, Any]:
    """Return a record as a row for people: its epoch, and step, from 1."""
    row = asdict(record)
    return row | {name: row[name] + 1 for name in _COUNTED if name in row}


_COUNTED = ("epoch", "step")


def table(kind: type[Any], rows: Iterable[dict[str, Any]]) -> str:
    """Return rows of a record's fields as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [item.name for item in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def counts_from_0(path: Path) -> bool:
    """Return True if ``path`` is a log of steps by an earlier version, in which the first step is 0."""
    return any(row["step"] == "0" for row in _rows(path)[:1])


def rewrite_steps(path: Path, steps_done: int) -> tuple[int, ...]:
    """Make ``path`` hold the header and the whole rows of the first ``steps_done`` steps; others are made again.

    Returns the steps, counted from 1, of which no whole row is left.
    """
    rows = _rows(path) if steps_done else []
    if counts_from_0(path):
        rows = [{**row, **{name: str(int(row[name]) + 1) for name in _COUNTED}} for row in rows]
    by_step = {int(row["step"]): row for row in rows if 1 <= int(row["step"]) <= steps_done}
    with atomic_path(path) as partial:
        partial.write_text(table(StepRecord, (by_step[step] for step in sorted(by_step))), encoding="utf-8")
    return tuple(step for step in range(1, steps_done + 1) if step not in by_step)


def _missing_words(missing: Sequence[int], steps_done: int) -> str:
    fact = f"{counted_of(len(missing), steps_done, 'step is')} missing from it or damaged, the first is {missing[0]}"
    way_out = (
        "The run goes on from its state, which has them all; what they logged cannot be made again. "
        f"{EPOCHS_FILE} is written anew."
    )
    return str(warning("log-cut", fact, way_out, STEPS_FILE))


def _check_board(board: Path) -> None:
    if (board.exists() or board.is_symlink()) and not board.is_dir():
        fact = "is a file, where a folder for TensorBoard's files should be"
        way_out = "Move it away, or train without them (--set run.tensorboard=false)."
        raise InputError(error("output-exists", fact, way_out, board.name))


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the whole rows of a log of steps; the last one of a killed run may be none. No file: no row."""
    if not path.is_file():
        return []
    names = [item.name for item in fields(StepRecord)]
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        head, *lines = [line.replace("\0", "") for line in stream] or [""]
    own = next(csv.reader([head]), [])
    return [row for row in csv.DictReader(lines, own if set(_COUNTED) <= set(own) else names) if _is_whole(row)]


def _is_whole(row: dict[str, Any]) -> bool:
    if None in row or None in row.values() or not all(str(row.get(n, "")).isdecimal() for n in _COUNTED):
        return False
    try:
        return all(math.isfinite(float(value)) for value in row.values() if value)
    except ValueError:
        return False


class Clock:
    """Tells how long the rest will take, from what was done since this process started."""

    def __init__(self, now: Callable[[], float], steps_done: int) -> None:
        self._now, self._first, self._started = now, steps_done, now()

    def left_seconds(self, steps_done: int, steps: int) -> float | None:
        """Return the seconds until ``steps`` are done, validation included; None before the first step."""
        done = steps_done - self._first
        return None if done <= 0 else (self._now() - self._started) / done * (steps - steps_done)


def duration(seconds: float) -> str:
    """Return a time in the unit that fits."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def epoch_words(place: Place, epochs: int, left: float | None) -> str:
    """Return one line about the last epoch."""
    record = place.history[-1]
    parts = [f"epoch {record.epoch + 1} of {epochs}: loss {record.training_loss:.4g}"]
    if record.validation_loss is not None:
        best = " (best)" if place.best_epoch == record.epoch else ""
        parts.append(f"validation {record.validation_loss:.4g}{best}")
    parts.append(f"{record.cases_per_second:.3g} CT/s")
    parts.append(f"waited for data {100 * record.data_wait_share:.0f} %")
    if left is not None and place.epochs_done < epochs:
        parts.append(f"at most {duration(left)} left")
    return ", ".join(parts)
