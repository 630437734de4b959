"""Weights from elsewhere: the trunk's published ImageNet weights, and AxialNets under the authors' key names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from training.labels import label_names
from training.models.axialnet import build_network
from training.models.checkpoint import load_state
from training.models.config import NetworkConfig
from training.models.model import CheckpointMetadata, Model
from training.models.network import Network
from training.models.tensorfile import file_sha256, read_any_tensors, refused
from training.preprocess import InputSpec

RESNET18_SHA256 = "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"
"""SHA-256 of torchvision's ResNet-18 weights (IMAGENET1K_V1); their file name carries its first eight digits."""

NOT_PRETRAINED = {
    "randinit": "it is AxialNet without them, to measure what they are worth",
    "conv3d": "it has no ResNet",
}
"""Architectures whose trunk starts from random weights, and why."""

TRUNK_CHILDREN = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
"""ResNet-18's children without the last two; the authors' ``features`` numbers them from 0."""


def load_trunk_weights(network: Network, path: str | Path) -> None:
    """Copy published ResNet-18 weights, or another checkpoint's trunk, into the trunk; what lies behind is left out.

    Parameters
    ----------
    network
        Changed in place. Its trunk must be as wide as the given one (ResNet-18: ``width`` 64).
    path
        safetensors, or a pickled state dict (read as tensors only), with torchvision's key names; or a checkpoint of
        this program.

    Raises
    ------
    InputError
        If names or shapes are not those of the trunk, or the architecture stands for the lack of such weights.
    """
    path = Path(path)
    architecture = network.config.architecture
    if architecture in NOT_PRETRAINED:
        fact = f"{architecture} does not start from published weights: {NOT_PRETRAINED[architecture]}."
        raise refused("weights-unwanted", fact, "Leave the weights out, or choose another architecture.", path)
    given = {k: v for k, v in _trunk_of(read_any_tensors(path)).items() if not k.startswith("fc.")}
    behind = tuple(f"layer{stage}." for stage in range(network.config.cut_stage + 1, 5))
    trunk = {f"trunk.{k}": v for k, v in given.items() if not k.startswith(behind)}
    kept = {k: v for k, v in network.state_dict().items() if not k.startswith("trunk.")}
    load_state(network, trunk | kept, path)


def _trunk_of(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the trunk of a checkpoint of this program under torchvision's names; other tensors as they are."""
    own = {k.removeprefix("trunk."): v for k, v in given.items() if k.startswith("trunk.")}
    return own or given


def download_trunk_weights(
    folder: str | Path, url: str | None = None, sha256: str = RESNET18_SHA256, progress: bool = False
) -> Path:
    """Return the published ResNet-18 weights in ``folder``, downloaded if they are not there yet.

    The hash is checked on every call, before the file gets its name; only this function goes to the network.

    Raises
    ------
    InputError
        If the download fails or the hash is wrong.
    """
    import pooch
    from torchvision.models import ResNet18_Weights

    url = url or ResNet18_Weights.IMAGENET1K_V1.url
    name = url.rsplit("/", 1)[-1]
    target = Path(folder) / name
    try:
        pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder, progressbar=progress)
    except (OSError, ValueError) as reason:
        fact = f"the weights could not be downloaded, or are not the published ones ({reason})."
        way_out = f"Download {url} by hand and give the file's path; its SHA-256 must be {sha256}."
        raise refused("weights-download", fact, way_out, target) from reason
    return target


def load_authors_state_dict(
    path: str | Path, labels: Sequence[str] | None = None, spec: InputSpec | None = None
) -> Model:
    """Return the AxialNet whose weights lie in ``path`` under the authors' key names.

    Names are translated as follows; a leading ``module.`` (DataParallel) is dropped.

    ===================  ===========================================================
    authors              here
    ===================  ===========================================================
    ``features.0``       ``trunk.conv1`` (1 bn1, 2 relu, 3 maxpool, 4 to 7 layer1 to 4)
    ``conv2d.0``         ``custom.0`` (0, 2, 4, 6: convolutions; 7: last ReLU, Z)
    ``fc`` [M,16,6,6]    ``head.fc`` [M, 576]
    ===================  ===========================================================

    Parameters
    ----------
    path
        safetensors, or a pickled state dict (read as tensors only), bare or under ``params`` or ``state_dict``.
    labels
        Names of the outputs; the paper's 80 in Table 5's order by default. The file does not say them.
    spec
        The input; the authors' by default.

    Raises
    ------
    InputError
        If names or shapes are not those of an AxialNet with as many outputs as ``labels``.
    """
    path = Path(path)
    names = tuple(label_names() if labels is None else labels)
    spec = spec or InputSpec()
    given = read_any_tensors(path)
    network = build_network(NetworkConfig.from_spec("axialnet", spec, len(names)))
    load_state(network, translate_authors_names(given), path)
    metadata = CheckpointMetadata(training={"weights": "the authors' format", "source_sha256": file_sha256(path)})
    return Model(network, names, spec, path.stem, metadata=metadata)


def translate_authors_names(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under our names; unknown names are kept, so that loading can name them."""
    return {_translated(name): _reshaped(name, tensor) for name, tensor in given.items()}


def _translated(name: str) -> str:
    name = name.removeprefix("module.")
    rules: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
        (r"^features\.([0-7])\.", lambda m: f"trunk.{TRUNK_CHILDREN[int(m[1])]}."),
        (r"^conv2d\.", "custom."),
        (r"^fc\.", "head.fc."),
    )
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _reshaped(name: str, tensor: Tensor) -> Tensor:
    """Make a matrix of the authors' last layer, a convolution as large as its input."""
    return tensor.flatten(1) if name.removeprefix("module.") == "fc.weight" else tensor
