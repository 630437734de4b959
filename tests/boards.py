"""TensorBoard's event files, read as TensorBoard reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog

from training.fit.log import TENSORBOARD_FOLDER


def scalars(run: Path) -> dict[str, list[int]]:
    """Return the steps of every scalar of a run; where a session starts, what is there from its step on is dropped."""
    found: dict[str, list[int]] = {}
    for event in (event for path in sorted((run / TENSORBOARD_FOLDER).iterdir()) for event in events(path)):
        if event.session_log.status == SessionLog.START:
            found = {tag: [step for step in steps if step < event.step] for tag, steps in found.items()}
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(event.step)
    return found


def events(path: Path) -> Iterator[Event]:
    """Yield the whole events of a file; a killed process may have left a piece of one at its end."""
    data, at = path.read_bytes(), 0
    while at + 12 <= len(data):  # length, its checksum, the event, its checksum
        size = int.from_bytes(data[at : at + 8], "little")
        if at + size + 16 > len(data):
            return
        yield Event.FromString(data[at + 12 : at + 12 + size])
        at += size + 16
