"""Cases of a store made ready ahead of time, so that the next one shows at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from qtpy.QtCore import QObject, Signal

from hirescam_napari._case import Case
from hirescam_napari._cohort import BandsOf, assembled, bands_of
from hirescam_napari._workers import case_of, warm_up
from training.cohort.results import CohortStore
from training.evaluate.audit.evidence import Books, books_of
from training.evaluate.audit.source import source_ct
from training.explain.display import PerLabel
from training.explain.placement import PLACEMENTS
from training.explain.result import METHODS
from training.issues import Issue

KEPT = 4
"""Cases that are held: the one that is shown, the ones beside it. A CT takes some 100 MB."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case with its books, and where its CT was if it is not at hand."""

    case: Case
    books: Books
    issue: Issue | None


def prepared(store: CohortStore, name: str, bands: BandsOf, labels: Sequence[str] = ()) -> Prepared:
    """Read a case; what is shown first of ``labels`` is worked out as well.

    Raises
    ------
    InputError
        If its result is missing or damaged; a CT that is missing or unusable is no reason.
    """
    ct = source_ct(store, name)
    lost = () if ct.issue is None else (ct.issue,)
    case = assembled(store, name, Case() if ct.volume is None else case_of(ct.volume), lost, bands)
    explanation = case.explanation
    if explanation is None:
        raise ValueError("a stored case without its explanation")
    books = books_of(explanation, store.organ_cells(name), lambda label: store.sides_of(name, label))
    _warm(case, labels)
    return Prepared(case, books, ct.issue)


def _warm(case: Case, labels: Sequence[str]) -> None:
    """Work out what a case remembers anyway, on this thread instead of the window's."""
    explanation = case.explanation
    if explanation is None or not explanation.has_maps:
        return
    explanation.summary()
    for label in labels:
        case.bands(label)
        for placement in PLACEMENTS:
            case.region(label, placement)
        for method in METHODS:
            case.display(PerLabel(), label, method)


class Prefetcher(QObject):
    """Reads cases on a thread of its own, one after another, the most wanted first.

    ``ready(name)`` and ``failed(name, error)`` arrive on the thread that made it.

    Parameters
    ----------
    store
        The cohort.
    parent
        Qt parent.
    """

    ready = Signal(str)
    failed = Signal(str, object)
    _done = Signal(str, object)

    def __init__(self, store: CohortStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.store = store
        self._bands = bands_of(store)
        self._closed = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hirescam-prefetch")
        self._pool.submit(warm_up)
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._waiting: dict[str, Future[Prepared]] = {}
        self._done.connect(self._on_done)

    def get(self, name: str) -> Prepared | None:
        """Return a case that is ready, None otherwise."""
        if name in self._kept:
            self._kept.move_to_end(name)
        return self._kept.get(name)

    def want(self, cases: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Read these cases (name, labels to be shown), the first first; others that have not begun are given up."""
        names = [name for name, _ in cases]
        for name, waiting in list(self._waiting.items()):
            if name not in names[:1] and waiting.cancel():
                del self._waiting[name]
        for name in reversed(names):
            if name in self._kept:
                self._kept.move_to_end(name)
        for name, labels in cases[:KEPT]:
            if name not in self._kept and name not in self._waiting:
                self._submit(name, labels)

    def close(self) -> None:
        """Stop; what is being read is left to end by itself."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._waiting.clear()
        self._kept.clear()

    def _submit(self, name: str, labels: Sequence[str]) -> None:
        future = self._pool.submit(prepared, self.store, name, self._bands, tuple(labels))
        self._waiting[name] = future
        future.add_done_callback(lambda done: self._announce(name, done))

    def _announce(self, name: str, future: Future[Prepared]) -> None:
        """Tell the window's thread, unless nobody waits for it any more."""
        if not self._closed and not future.cancelled():
            self._done.emit(name, future)

    def _on_done(self, name: str, future: Future[Prepared]) -> None:
        if self._waiting.get(name) is not future:
            return
        del self._waiting[name]
        failure = future.exception()
        if failure is not None:
            self.failed.emit(name, failure)
            return
        self._kept[name] = future.result()
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        self.ready.emit(name)
