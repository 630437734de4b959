"""Long work on napari's worker threads, with progress and cancelling; the window never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from napari.qt.threading import FunctionWorker, create_worker
from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QObject, Signal

from hirescam_napari._case import Case
from hirescam_napari._checks import checked
from hirescam_napari._engine import Engine, IsCancelled, Progress, Request
from hirescam_napari._layers import picture_of
from training.explain.result import Explanation
from training.io.series import SeriesInfo
from training.issues import Cancelled, InputError, error, warning
from training.volume import Volume

NO_CT_FACT = "The CT is not found where it was, so maps are shown without it."

Function = Callable[[Progress, IsCancelled], object]
"""Work: gets ``progress(done, total, stage)`` and ``cancelled()``; raises :class:`Cancelled` when it obeys."""


REPORT_S = 0.05
"""Progress within a stage is told at most this often; the window has other things to do."""


class Outcome(NamedTuple):
    """How work ended: with a value, or with an error (``Cancelled`` included)."""

    value: Any = None
    error: Exception | None = None


class _Named:
    """A function that goes by a title in napari's list of running tasks."""

    def __init__(self, function: Callable[[], Outcome], title: str) -> None:
        self._function, self._title = function, title

    def __call__(self) -> Outcome:
        return self._function()

    def __repr__(self) -> str:
        return self._title


class Job(QObject):
    """One piece of work on a thread. Exactly one of ``succeeded``, ``failed`` and ``cancelled`` is emitted.

    Signals arrive on the thread that made the job. ``cancel`` is obeyed at once as far as anyone can see; the thread
    stops at its next question, and whatever it still brings is dropped. napari knows the work: it warns when the window
    is closed meanwhile, and shows progress with a cancel button among its activities.
    """

    progressed = Signal(int, int, str)
    succeeded = Signal(object)
    failed = Signal(object)
    cancelled = Signal()

    def __init__(self, function: Function, title: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self._function = function
        self._stop, self._ended = threading.Event(), threading.Event()
        self._told = self._moving = False
        self._reported: tuple[str, float] = ("", 0.0)
        self._worker: FunctionWorker[Outcome] | None = None
        self._bar: cancelable_progress | None = None
        self.progressed.connect(self._on_progress)

    @property
    def running(self) -> bool:
        """True until one of the signals was emitted, also before ``start``."""
        return not self._told

    def start(self) -> None:
        """Begin."""
        self._bar = cancelable_progress(total=0, desc=self.title, leave=False)
        self._worker = create_worker(_Named(self._run, self.title), _start_thread=False)
        self._worker.returned.connect(self._tell)
        self._worker.start()

    def cancel(self) -> None:
        """Give the work up."""
        self._stop.set()
        self._tell(Outcome(error=Cancelled()))

    def wait(self, seconds: float) -> bool:
        """Let the thread end; return False if it takes longer than ``seconds``."""
        return self._worker is None or self._ended.wait(seconds)

    def _asked_to_stop(self) -> bool:
        by_bar = self._bar is not None and self._bar.is_canceled
        by_window = self._worker is not None and self._worker.abort_requested
        return self._stop.is_set() or by_bar or by_window

    def _run(self) -> Outcome:
        try:
            return Outcome(self._function(self._report, self._asked_to_stop))
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which shows it
            return Outcome(error=error)
        finally:
            self._ended.set()

    def _report(self, done: int, total: int, stage: str) -> None:
        if self._asked_to_stop():
            raise Cancelled
        now = time.monotonic()
        if stage != self._reported[0] or done == total or now - self._reported[1] >= REPORT_S:
            self._reported = (stage, now)
            self.progressed.emit(done, total, stage)

    def _on_progress(self, done: int, total: int, stage: str) -> None:
        """Move napari's bar, which lets events run: those may end this job meanwhile, and must not move it again."""
        bar = self._bar
        if bar is None or self._moving:
            return
        self._moving = True
        try:
            if bar.desc.removesuffix(": ") != stage:
                bar.set_description(stage)
            bar.total = total
            bar.update(done - bar.n)
        finally:
            self._moving = False

    def _tell(self, outcome: Outcome) -> None:
        if self._told:
            return
        self._told = True
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if isinstance(outcome.error, Cancelled):
            self.cancelled.emit()
        elif outcome.error is not None:
            self.failed.emit(outcome.error)
        else:
            self.succeeded.emit(outcome.value)


def load_work(paths: Sequence[Path], series: int | None = None, repair: bool = False) -> Function:
    """Return work that reads ``paths`` (see :func:`load_case`) and gives a :class:`Case`."""

    def work(progress: Progress, cancelled: IsCancelled) -> Case:
        progress(0, 0, "reading")
        warm_up()
        case = load_case(paths, series, repair, progress, cancelled)
        if cancelled():
            raise Cancelled
        return case

    return work


def warm_up() -> None:
    """Load on this thread what napari would load when it draws its first image: about a second for the window."""
    import scipy.ndimage  # noqa: F401 - thumbnails
    from napari.utils.transforms import Affine

    Affine(ndim=3, units=("mm", "mm", "mm"))


def load_case(
    paths: Sequence[Path],
    series: int | None = None,
    repair: bool = False,
    progress: Progress | None = None,
    cancelled: IsCancelled | None = None,
) -> Case:
    """Read a CT, a result of ``hirescam explain``, both, or a saved session; of a cohort store, its first case.

    ``progress`` and ``cancelled`` are as for ``read_ct``.

    Raises
    ------
    SeriesChoiceNeeded
        There are several series and none was chosen.
    InputError
        Anything wrong with the input, or a result that does not belong to the CT.
    """
    from hirescam_napari._cohort import first_case
    from training.cohort.inputs import Origin, sort_inputs
    from training.cohort.results import find_store, open_store
    from training.cohort.session_file import is_session
    from training.cohort.store import read_case
    from training.io import read_ct

    if len(paths) == 1 and find_store(paths[0]) is not None:
        return first_case(open_store(paths[0]))
    saved = [path for path in paths if is_session(path)]
    if saved:
        return _saved_case(saved[0], [path for path in paths if path not in saved], progress, cancelled)
    given = sort_inputs(paths)
    case = Case()
    if given.ct is not None:
        case = case_of(checked(read_ct(given.ct, series, repair, progress, cancelled)))
        case = replace(case, origin=Origin(given.ct, series, repair))
    return case if given.result is None else with_explanation(case, read_case(given.result))


def _saved_case(path: Path, others: Sequence[Path], progress: Progress | None, cancelled: IsCancelled | None) -> Case:
    """Return what a session file brings back, with the CT that was given beside it or found where it was."""
    from training.cohort.inputs import Origin, sort_inputs
    from training.cohort.session_file import read_session
    from training.io import read_ct

    session, given = read_session(path), sort_inputs(others)
    origin = session.origin if given.ct is None else Origin(given.ct)
    case = Case()
    if origin is not None:
        volume = checked(read_ct(origin.path, origin.series, origin.repair, progress, cancelled))
        _check_pixels(volume, session.pixels_sha256)
        case = replace(case_of(volume), origin=origin)
    elif session.explanation is None:
        fact = "the session's CT is not found, and it holds no result to show without it"
        raise InputError(error("ct-not-found", fact, "Open the session together with its CT.", path.name))
    if session.explanation is not None:
        lost = (warning("no-ct", NO_CT_FACT, "Open the session together with its CT."),) if origin is None else ()
        case = with_explanation(case, session.explanation.with_issues(*lost))
    return replace(case, view=session.view, second=session.second)


def _check_pixels(volume: Volume, pixels_sha256: str) -> None:
    if pixels_sha256 and volume.provenance.pixels_sha256 != pixels_sha256:
        fact = "the CT that is there now is another one than the session's"
        raise InputError(error("other-ct", fact, "Open the session together with its own CT."))


def with_explanation(case: Case, explanation: Explanation) -> Case:
    """Return ``case`` with a stored result.

    Raises
    ------
    InputError
        If the result was made from other pixels than the case's CT.
    """
    from training.cohort.inputs import check_same_ct

    if case.volume is not None:
        check_same_ct(case.volume, explanation)
    return replace(case, explanation=explanation)


def series_work(path: Path) -> Function:
    """Return work that lists the series at ``path`` with thumbnails."""

    def work(progress: Progress, cancelled: IsCancelled) -> tuple[SeriesInfo, ...]:
        from training.io import list_series

        progress(0, 0, "listing the series")
        series = list_series(path)
        if cancelled():
            raise Cancelled
        return series

    return work


def case_of(volume: Volume) -> Case:
    """Return a volume as a case without a result."""
    return Case(volume, picture_of(volume))


def explain_work(engine: Engine, request: Request) -> Function:
    """Return work that asks ``engine`` for an :class:`Explanation`."""

    def work(progress: Progress, cancelled: IsCancelled) -> Explanation:
        progress(0, 0, "starting")
        return engine.explain(request, progress, cancelled)

    return work
