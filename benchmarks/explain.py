"""Time all maps of one CT beside captum and pytorch-grad-cam; measure the maps' share of the trunk and peak memory.

    python benchmarks/explain.py                 full-size AxialNet (135 x 3 x 420 x 420), minutes
    python benchmarks/explain.py --small         a quick check of the script itself
    python benchmarks/explain.py --no-peers      ours alone

Claims measured:

1. The maps of all labels by both methods (HiResCAM and Grad-CAM, 160 maps for 80 labels) add less than 1 % to the
   trunk's time, and a CT is explained within 2.5 GB of memory on a CPU, the CT included.
2. captum (``LayerGradCam``) and pytorch-grad-cam (``HiResCAM``, ``GradCAM``) run the network once per label and method.
   Each is timed for ONE label. The time for all labels and methods is that time multiplied by the number of passes; it
   is an extrapolation and is labelled so.

Peers run in their own environment: ``--peer-python`` names its interpreter; without it a virtual environment is made in
a temporary folder, which installs captum and grad-cam and takes torch from the environment that runs this script.

Peers keep what every layer gave for a backward pass, which for 135 slice groups would be about 30 GB. They therefore
run on ``--peer-groups`` slice groups, as does ours for the ratio; and once more with the layers before Z frozen
(``requires_grad=False``), the most favourable way to use them, which needs a user who knows that it helps.

Each measurement has a process of its own. Peers are warmed up on one slice group first, ours is not; the public call of
pytorch-grad-cam also enlarges its maps to the input. Weights are random: speed does not depend on them. Wall times mean
something on an idle machine only; ratios are given by CPU time too (all of ours against one pass of theirs), which
other work on the machine changes less. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

MARK = "RESULT "
PEERS = ("captum LayerGradCam", "pytorch-grad-cam HiResCAM", "pytorch-grad-cam GradCAM")
METHODS = 2
LABEL = 3
REPEATS = 20
MAX_SHARE = 0.01
MAX_RSS = 2.5e9


# --- one measurement, in its own process ------------------------------------------------------------------------------


def build(small: bool, groups: int | None) -> tuple[Any, Any]:
    """Return the model (random weights) and a CT of noise that fills its input, so that no slice group is skipped."""
    from training.geometry import Geometry
    from training.models.registry import build_model
    from training.preprocess import InputSpec
    from training.volume import Volume

    n_groups = groups or (9 if small else 135)
    in_plane = 352 if small else 420
    spec = InputSpec(shape=(3 * n_groups, in_plane, in_plane))
    hu = np.random.default_rng(0).integers(-1000, 1000, spec.shape, dtype=np.int16)
    return build_model("axialnet", spec=spec), Volume(hu, Geometry.canonical(spec.shape, spec.spacing_mm))


def measure_ours(small: bool, groups: int | None) -> dict[str, Any]:
    """Explain the CT once, then time all maps by themselves."""
    from training.explain.explainer import explain, peak_rss_bytes

    before = peak_rss_bytes()
    model, volume = build(small, groups)
    cpu = time.process_time()
    explanation = explain(model, volume, device="cpu")
    cpu = time.process_time() - cpu
    peak = peak_rss_bytes()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        maps = [explanation.maps("hirescam"), explanation.maps("gradcam")]
        seconds.append(time.perf_counter() - start)
    all_maps = statistics.median(seconds)
    trunk = explanation.seconds["trunk"]
    return {
        "groups": int(explanation.z.shape[0]),
        "labels": len(explanation.labels),
        "maps": sum(len(m) for m in maps),
        "seconds": {name: round(s, 4) for name, s in explanation.seconds.items()},
        "explain_cpu_seconds": round(cpu, 4),
        "all_maps_seconds_median": round(all_maps, 6),
        "maps_share_of_trunk": all_maps / trunk,
        "maps_stage_share_of_trunk": explanation.seconds["maps"] / trunk,
        "label_switch_milliseconds": round(1000 * _one_map_seconds(explanation), 4),
        "residual_max": float(explanation.residual.max()),
        "volume_bytes": volume.hu.nbytes,
        "rss_bytes_before": before,
        "peak_rss_bytes": peak,
    }


def _one_map_seconds(explanation: Any) -> float:
    seconds = []
    for label in range(len(explanation.labels)):
        start = time.perf_counter()
        explanation.map(label)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure_peer(peer: str, small: bool, groups: int | None, frozen: bool) -> dict[str, Any]:
    """Time one label with ``peer`` and compare its map with ours."""
    import torch

    from training.explain import cam
    from training.explain.explainer import peak_rss_bytes
    from training.preprocess import prepare

    model, volume = build(small, groups)
    x = torch.from_numpy(prepare(volume, model.input_spec).group(0, model.input_spec.n_groups))
    network = _batched(model.network)
    if frozen:
        network.axialnet.trunk.requires_grad_(False)
        network.axialnet.custom[:-2].requires_grad_(False)
    one_label = _captum(network) if peer.startswith("captum") else _grad_cam(network, peer)
    one_label(x[:1])
    start, cpu = time.perf_counter(), time.process_time()
    found = one_label(x)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    with torch.inference_mode():
        z = torch.cat([model.network.features(part) for part in x.split(1)]).numpy()
    weights, _ = model.closed_form()
    ours = (cam.hirescam if peer.endswith("HiResCAM") else cam.gradcam)(z, weights[LABEL])
    return {
        "peer": peer,
        "groups": len(x),
        "layers_before_z_frozen": frozen,
        "one_label_seconds": round(seconds, 4),
        "one_label_cpu_seconds": round(cpu, 4),
        "peak_rss_bytes": peak_rss_bytes(),
        "map_differs_from_ours_by": float(np.abs(found - ours).max() / np.abs(ours).max()),
    }


def _batched(axialnet: Any) -> Any:
    """Return the network with scores [1, M], the form that both peers expect of a classifier."""
    from torch import Tensor, nn

    class Batched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.axialnet = axialnet

        def forward(self, x: Tensor) -> Tensor:
            scores: Tensor = self.axialnet(x)
            return scores[None]

    return Batched().eval()


def _captum(network: Any) -> Any:
    from captum.attr import LayerGradCam

    method = LayerGradCam(network, network.axialnet.custom)
    return lambda x: method.attribute(x, target=LABEL).detach().numpy()[:, 0]


def _grad_cam(network: Any, peer: str) -> Any:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    base = getattr(pytorch_grad_cam, peer.split()[-1])
    signed: list[np.ndarray] = []

    class Recorded(base):  # type: ignore[misc, valid-type]
        """Keeps the signed map, which the public call cuts, scales and enlarges."""

        def get_cam_image(self, *args: Any, **kwargs: Any) -> np.ndarray:
            signed.append(super().get_cam_image(*args, **kwargs))
            return signed[-1]

    method = Recorded(model=network, target_layers=[network.axialnet.custom])

    def one_label(x: Any) -> np.ndarray:
        method(input_tensor=x, targets=[ClassifierOutputTarget(LABEL)])
        return signed[-1]

    return one_label


# --- all measurements -------------------------------------------------------------------------------------------------


@contextmanager
def peer_environment(python: str | None) -> Iterator[str]:
    """Yield an interpreter that has captum and grad-cam; make an environment for it where none is named."""
    if python is not None:
        yield python
        return
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        peer = Path(folder, "bin", "python")
        ours = sysconfig.get_paths()["purelib"]
        query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
        theirs = subprocess.run([peer, "-c", query], check=True, capture_output=True, text=True).stdout.strip()
        Path(theirs, "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n", encoding="utf-8")
        subprocess.run([peer, "-m", "pip", "install", "--quiet", "captum", "grad-cam"], check=True)
        yield str(peer)


def in_process(python: str, task: list[str], threads: int) -> dict[str, Any]:
    """Run one measurement in its own process; a failure (such as too little memory) is reported, not hidden."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = [python, __file__, *task]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not lines:
        return {"task": task, "failed": done.returncode, "reason": done.stderr.strip().splitlines()[-1:]}
    result: dict[str, Any] = json.loads(lines[-1].removeprefix(MARK))
    return result


def compare(peer: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Return the peer's numbers with the passes it needs and what that means against ours on the same slice groups."""
    if "failed" in peer:
        return peer
    passes = ours["labels"] * METHODS
    one_run = ours["seconds"]["trunk"] + ours["all_maps_seconds_median"]
    one_label = peer["one_label_seconds"] / one_run
    one_label_cpu = peer["one_label_cpu_seconds"] / ours["explain_cpu_seconds"]
    return peer | {
        "passes_for_all_labels_and_methods": passes,
        "all_labels_and_methods_seconds_EXTRAPOLATED": round(peer["one_label_seconds"] * passes, 1),
        "ours_all_labels_and_methods_seconds": round(one_run, 4),
        "ratio_one_label_wall": round(one_label, 2),
        "ratio_one_label_cpu": round(one_label_cpu, 2),
        "ratio_all_maps_wall_EXTRAPOLATED": round(one_label * passes, 1),
        "ratio_all_maps_cpu_EXTRAPOLATED": round(one_label_cpu * passes, 1),
    }


def report(options: argparse.Namespace) -> dict[str, Any]:
    """Return everything that was measured."""
    small = ["--small"] if options.small else []
    ours = in_process(sys.executable, ["--task", "ours", *small], options.threads)
    found: dict[str, Any] = {
        "machine": {"platform": platform.platform(), "cores": os.cpu_count(), "threads": options.threads},
        "model": "axialnet:random" + (" (small)" if options.small else ""),
        "ours": ours,
    }
    if "failed" not in ours:
        found["claims"] = {
            "maps_under_1_percent_of_trunk": ours["maps_share_of_trunk"] < MAX_SHARE,
            "peak_rss_under_2.5_GB": ours["peak_rss_bytes"] < MAX_RSS,
        }
    return found if options.no_peers else found | with_peers(options, small)


def with_peers(options: argparse.Namespace, small: list[str]) -> dict[str, Any]:
    """Return the peers' numbers beside ours on the same slice groups."""
    fewer = [*small, "--groups", str(options.peer_groups)]
    same = in_process(sys.executable, ["--task", "ours", *fewer], options.threads)
    if "failed" in same:
        return {"ours_on_the_peers_groups": same}
    with peer_environment(options.peer_python) as python:
        tasks = [["--task", peer, *fewer, *frozen] for frozen in ([], ["--frozen"]) for peer in PEERS]
        peers = [compare(in_process(python, task, options.threads), same) for task in tasks]
    return {"ours_on_the_peers_groups": same, "peers": peers}


def parse() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="9 slice groups of 352 x 352 px")
    parser.add_argument("--no-peers", action="store_true", help="measure ours alone")
    parser.add_argument("--peer-python", help="interpreter that has captum, grad-cam, torch and this project")
    parser.add_argument("--peer-groups", type=int, default=9, help="slice groups for the peers (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (default: all)")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    parser.add_argument("--task", choices=("ours", *PEERS), help=argparse.SUPPRESS)
    parser.add_argument("--groups", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--frozen", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run one measurement (``--task``) or all of them; exit 1 if a claim failed or a measurement did not run."""
    options = parse()
    if options.task == "ours":
        print(MARK + json.dumps(measure_ours(options.small, options.groups)))
        return 0
    if options.task:
        print(MARK + json.dumps(measure_peer(options.task, options.small, options.groups, options.frozen)))
        return 0
    found = report(options)
    text = json.dumps(found, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    failed = any("failed" in part for part in (found["ours"], *found.get("peers", [])))
    return int(failed or (not options.small and not all(found["claims"].values())))


if __name__ == "__main__":
    sys.exit(main())
