"""Seconds and memory of phantoms: `python benchmarks/phantom.py [--threads 2] [--n 10]`."""

from __future__ import annotations

import argparse
import resource
import time

from training.cohort.phantom import FULL, SMALL, PhantomGrid, make_phantom

DEMO = PhantomGrid((81, 140, 140), (4.0, 2.4, 2.4))


def measure(name: str, grid: PhantomGrid, n: int, threads: int) -> None:
    """Make ``n`` phantoms with drawn findings and print what they took."""
    wall, cpu = time.perf_counter(), time.process_time()
    voxels = sum(make_phantom(seed, grid, threads=threads).volume.hu.size for seed in range(n))
    wall, cpu = (time.perf_counter() - wall) / n, (time.process_time() - cpu) / n
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name:6s} {grid.shape} {threads} thread(s): {wall:.2f} s, {cpu:.2f} CPU s, {voxels / n / 1e6:.1f} M voxels")
    print(f"       peak memory so far {peak:.2f} GB")


def main() -> None:
    """Measure small, demo and full grids."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10, help="how many small ones")
    parser.add_argument("--threads", type=int, default=2, help="threads of the full one")
    options = parser.parse_args()
    make_phantom(0, SMALL)
    measure("small", SMALL, options.n, 1)
    measure("demo", DEMO, options.n, 1)
    measure("full", FULL, 2, options.threads)


if __name__ == "__main__":
    main()
