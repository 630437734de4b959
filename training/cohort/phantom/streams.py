"""Random numbers by seed and purpose: one purpose never disturbs another."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Return the generator of ``purpose`` (and ``index``, such as a slice) for a phantom's ``seed``."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), index])))
