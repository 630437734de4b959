"""Time and memory of organ segmentation beside the authors' recipe, on one full-size chest.

    python benchmarks/segment.py                  405 x 420 x 420 phantom at 0.8 mm
    python benchmarks/segment.py --ct PATH        a CT in any format
    python benchmarks/segment.py --small          a quick check of the script itself

Claim measured: the default segments 405 x 420 x 420 in at most 5 s and 1.5 GB (the CT included) on two idle cores. The
authors' steps (scikit-image, variant ``authors``) run on the same CT; their resampling to 0.8 mm is included where the
CT has another spacing, as their pipeline needs it. Every repeat has a process of its own; the CT is made or read before
the clock starts and passed as a file. Wall times mean something on an idle machine only; CPU time changes less. Dice is
against the phantom's truth. Prints a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

VARIANTS = ("default", "authors")
MARK = "RESULT "


def measure(case: Path, variant: Any) -> dict[str, Any]:
    """Segment the CT in ``case`` once."""
    from training.geometry import Geometry
    from training.partition import segment_organs
    from training.volume import Volume

    with np.load(case) as stored:
        volume = Volume(stored["hu"], Geometry(stored["hu"].shape, stored["affine"]))
        truth = stored["organs"]
    segment_organs(
        Volume(volume.hu[:60:3, ::7, ::7].copy(), Geometry.canonical(volume.hu[:60:3, ::7, ::7].shape, (6, 6, 6)))
    )
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    organs = segment_organs(volume, variant=variant)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = {"wall_s": wall, "cpu_s": cpu, "peak_rss_gb": peak * 1024 / 1e9, "before_gb": loaded * 1024 / 1e9}
    for name, values in (("lungs", (1, 2)), ("right", (1,)), ("left", (2,)), ("mediastinum", (3,))):
        if truth.size:
            ours, reference = np.isin(organs.labels, values), np.isin(truth, values)
            result[f"dice_{name}"] = float(2 * (ours & reference).sum() / max(1, ours.sum() + reference.sum()))
    return result


def make_case(path: Path, ct: str | None, small: bool, seed: int) -> tuple[int, ...]:
    """Write the CT (and the phantom's truth) that all processes read."""
    if ct is not None:
        from training.io import read_ct

        volume, organs = read_ct(ct), np.zeros(0, np.uint8)
    else:
        from training.cohort.phantom import make_phantom

        phantom = make_phantom(seed, "small" if small else "full", findings="none", threads=2)
        volume, organs = phantom.volume, phantom.organs
    np.savez(path, hu=volume.hu, affine=volume.geometry.affine, organs=organs)
    return volume.hu.shape


def repeat(case: Path, variant: str, repeats: int) -> dict[str, Any]:
    """Return medians over processes of their own, and the largest peak."""
    runs = []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--measure", variant, "--case", str(case)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith(MARK))
        runs.append(json.loads(line.removeprefix(MARK)))
    result = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return {**result, "peak_rss_gb": max(run["peak_rss_gb"] for run in runs)}


def main() -> None:
    """Measure both variants and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct", help="a CT instead of the phantom")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--case", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(MARK + json.dumps(measure(options.case, options.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case.npz"
        shape = make_case(case, options.ct, options.small, options.seed)
        results = {variant: repeat(case, variant, options.repeats) for variant in VARIANTS}
    for key in results["default"]:
        print(f"{key:18s}" + "".join(f"{variant} {results[variant][key]:9.3f}   " for variant in VARIANTS))
    ratio = {key: results["authors"][key] / results["default"][key] for key in ("wall_s", "cpu_s")}
    print(f"the default is {ratio['wall_s']:.1f} times as fast by wall time, {ratio['cpu_s']:.1f} by CPU time")
    load = os.getloadavg()[0]
    print(json.dumps({"shape": shape, "cores": os.cpu_count(), "load": load, "ratio": ratio, **results}))


if __name__ == "__main__":
    main()
