"""TensorBoard's event files, written at once: a run that is killed has logged there what it has logged elsewhere.

tensorboardX's own ``SummaryWriter`` writes by a thread, minutes later, and gives the file of a run that goes on within
the same second the name of the one before. Here every step is in its file when its logging returns.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar


class Board:
    """Writes scalars into a new event file of ``folder``.

    Parameters
    ----------
    folder
        Of the event files; made if missing.
    since
        First step that is logged again: TensorBoard drops what earlier files have from it on. None drops nothing.
    """

    def __init__(self, folder: Path, since: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files in the order of their names: the time in seconds, the host, and this number.
        number = sum(1 for _ in folder.glob("events.out.tfevents.*"))
        self._writer = EventsWriter(str(folder / "events"), f".{number:04d}")
        if since is not None:
            self._add(Event(step=since, session_log=SessionLog(status=SessionLog.START)))
        self._writer.flush()

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Add the value of every tag at ``step``."""
        for tag, value in values.items():
            self._add(Event(step=step, summary=scalar(tag, value)))
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        self._writer.write_event(event)
