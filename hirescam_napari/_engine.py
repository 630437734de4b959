"""Models run in a process of their own, which this module starts, asks and ends.

A window that draws by software OpenGL has loaded Mesa's LLVM; importing torchvision then loads Triton's, and the
process crashes (seen with torch 2.15, triton 3.9, Mesa's llvmpipe). A process of its own also keeps the window
responsive while torch is imported, gives all memory back when it ends, and can be stopped at any moment.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Lock, Thread
from typing import IO, Any

from training.explain.result import Explanation
from training.issues import Cancelled, InputError
from training.volume import Volume

Progress = Callable[[int, int, str], None]
IsCancelled = Callable[[], bool]
Message = tuple[str, Any]
"""Kind (progress, result, refused, failed, ended) and content."""

POLL_S = 0.1
"""How often a waiting thread asks whether it was cancelled."""


class EngineError(RuntimeError):
    """The process failed for a reason that is not the input's; the text says what it said last."""


@dataclass(frozen=True, eq=False)
class Request:
    """What to run: see :func:`training.explain.explain`."""

    volume: Volume
    model: str
    device: str = "auto"
    precision: str = "fp32"


class Engine:
    """One process that runs models, started when it is first needed. One request at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: Queue[Message] = Queue()
        self._starting, self._busy = Lock(), Lock()

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, which then imports torch; returns at once. Nothing happens if it lives already."""
        with self._starting:
            if self.running:
                return
            self._messages = Queue()
            command = [sys.executable, "-m", "hirescam_napari._engine_process"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
            Thread(target=_listen, args=(self._process, self._messages), daemon=True).start()

    def stop(self) -> None:
        """End the process, whatever it is doing; safe from any thread."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdin is not None:
                with suppress(BrokenPipeError):  # what was left unsent
                    process.stdin.close()

    def explain(self, request: Request, progress: Progress, cancelled: IsCancelled) -> Explanation:
        """Run ``request`` and wait for it; to be called on a worker thread.

        Raises
        ------
        InputError
            If the model or the CT is refused.
        Cancelled
            If ``cancelled()`` became true; the process is ended at once.
        EngineError
            If the process failed.
        """
        with self._busy:
            self.start()
            process, messages = self._process, self._messages
            if process is None or process.stdin is None:
                raise Cancelled
            Thread(target=_send, args=(process.stdin, request), daemon=True).start()
            try:
                return _wait(messages, progress, cancelled)
            except BaseException:
                if not isinstance(sys.exception(), InputError):
                    self.stop()
                raise


def _wait(messages: Queue[Message], progress: Progress, cancelled: IsCancelled) -> Explanation:
    """Pass progress on until there is a result."""
    while True:
        if cancelled():
            raise Cancelled
        try:
            kind, content = messages.get(timeout=POLL_S)
        except Empty:
            continue
        if kind == "progress":
            progress(*content)
        elif kind == "result":
            return content  # type: ignore[no-any-return]
        elif kind == "refused":
            raise InputError(content)
        else:
            raise EngineError(content)


def _listen(process: subprocess.Popen[bytes], messages: Queue[Message]) -> None:
    """Put what the process says into ``messages`` until it ends; the last one says so."""
    stream = process.stdout
    if stream is None:
        return
    with stream:
        while True:
            try:
                messages.put(pickle.load(stream))  # noqa: S301 - from our own child process
            except (EOFError, pickle.UnpicklingError):
                messages.put(("ended", "The process that runs models has ended; its last words are on the terminal."))
                return


def _send(stream: IO[bytes], request: Request) -> None:
    """Write ``request``; if the process ends meanwhile, :func:`_listen` tells."""
    with suppress(BrokenPipeError, ValueError):
        pickle.dump(request, stream, protocol=5)
        stream.flush()
