"""The SHA-256 of a volume, computed in a thread while later slices are still being decoded."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
import numpy.typing as npt

from training.volume import pixels_digest


class SliceHash:
    """Feeds the slices of ``hu`` (canonical, C order) to the digest of :func:`training.volume.pixels_sha256`.

    ``stored`` is a view of ``hu`` by stored slice. Slices may be done in any order; each is hashed when all before it
    are. Where stored slices are not canonical ones (sagittal, coronal), everything is hashed at the end.
    """

    def __init__(self, hu: npt.NDArray[np.int16], stored: npt.NDArray[np.int16]) -> None:
        self._hu = hu
        self._digest = pixels_digest(hu)
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._next = 0
        self._done: set[int] = set()
        self._hashed: list[Future[None]] = []
        turned = stored.strides[0] < 0
        self._streams = abs(stored.strides[0]) == hu.strides[0]
        self.order = range(len(stored) - 1, -1, -1) if turned else range(len(stored))
        """Stored slices in the order in which hashing wants them."""

    def slice_is_done(self, k: int) -> None:
        """Say that stored slice ``k`` will not change any more."""
        if not self._streams:
            return
        self._done.add(k)
        while self._next < len(self.order) and self.order[self._next] in self._done:
            self._hashed.append(self._pool.submit(self._digest.update, self._hu[self._next].data))
            self._next += 1

    def hexdigest(self) -> str:
        """Hash what is left and return the digest."""
        for part in self._hashed:
            part.result()
        self._digest.update(self._hu[self._next :].data)
        return self._digest.hexdigest()

    def __enter__(self) -> SliceHash:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
