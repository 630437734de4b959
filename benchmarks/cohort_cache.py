"""Reading a prepared CT from the cache against reading the npz: ``python benchmarks/cohort_cache.py [--ct PATH]``.

Without ``--ct`` a full-size phantom is measured. Times are the best of ``--repeats``, with the files in the page cache:
seconds of the clock, and of the processor, which other programs do not disturb. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from training.cohort.cache import Codec, VolumeCache
from training.cohort.phantom import FULL, make_phantom
from training.io import read_ct
from training.preprocess import InputSpec, ModelInput, prepare

CODECS: tuple[tuple[Codec, int], ...] = (("lz4", 1), ("lz4", 5), ("zstd", 1), ("zstd", 3))
Times = dict[str, float]


def best(work: Callable[[], object], repeats: int) -> Times:
    """Return the least clock and processor seconds of ``work``."""
    clock, processor = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return {"seconds": round(min(clock), 4), "cpu_seconds": round(min(processor), 4)}


def never() -> ModelInput:
    """Refuse to prepare: what is measured must come from the cache."""
    raise AssertionError("not in the cache")


def measure(folder: Path, made: ModelInput, repeats: int) -> dict[str, object]:
    """Measure the npz of ``made`` and the cache with every codec; all must give the same HU."""
    npz = folder / "case.npz"
    np.savez_compressed(npz, ct=made.hu)
    size = npz.stat().st_size / 1e6
    array = best(lambda: np.load(npz, allow_pickle=False)["ct"], repeats)
    whole = best(lambda: prepare(read_ct(npz), made.spec), max(1, repeats // 3))
    rows = [_codec(folder, npz, made, codec, level, repeats) for codec, level in CODECS]
    for row in rows:
        row["times_faster_than_numpy"] = round(array["cpu_seconds"] / row["cpu_seconds"], 1)
        row["times_faster_than_read_and_prepare"] = round(whole["cpu_seconds"] / row["cpu_seconds"], 1)
    return {"npz": {"megabytes": round(size, 1), "numpy": array, "read_and_prepare": whole}, "cache": rows}


def _codec(folder: Path, npz: Path, made: ModelInput, codec: Codec, level: int, repeats: int) -> dict[str, float]:
    cache = VolumeCache(folder / f"{codec}{level}", codec, level)
    start = time.process_time()
    cache.get(npz, made.spec, lambda: made)
    write = time.process_time() - start
    assert np.array_equal(cache.get(npz, made.spec, never).hu, made.hu)
    place = cache.place(npz, made.spec)
    size = sum(item.stat().st_size for item in place.rglob("*") if item.is_file()) / 1e6
    times = best(lambda: cache.get(npz, made.spec, never), repeats)
    name = {"codec": codec, "level": level}
    return {**name, "megabytes": round(size, 1), "write_cpu_seconds": round(write, 2), **times}  # type: ignore[dict-item]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ct", type=Path, help="CT to measure, in any format")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    volume = read_ct(options.ct) if options.ct else make_phantom(0, FULL, threads=2).volume
    made = prepare(volume, InputSpec())
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), made, options.repeats)
    for row in result["cache"]:  # type: ignore[attr-defined]
        print(row)
    source = "given CT" if options.ct else "phantom 0"
    print(json.dumps({"source": source, "shape": made.hu.shape, "machine": platform.machine(), **result}))


if __name__ == "__main__":
    main()
