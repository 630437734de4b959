"""Weights from elsewhere: torchvision's, and the authors' names."""

from __future__ import annotations

import functools
import http.server
import threading
from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from training.issues import InputError
from training.models import AxialNetConfig, build_network, load_model
from training.models.convert import main
from training.models.tensorfile import file_sha256
from training.models.weights import (
    RESNET18_SHA256,
    download_trunk_weights,
    load_authors_state_dict,
    load_trunk_weights,
)
from training.preprocess import InputSpec

SPEC = InputSpec((0.8,) * 3, (6, 420, 420))


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = torchvision.models.resnet18().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_var, 0.5, 2)
    return model


class TheirAxialNet(nn.Module):
    """The architecture of the paper under the authors' attribute names, built from torchvision's own network."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*list(torchvision.models.resnet18().children())[:-2])
        channels = [512, 64, 32, 16, 16]
        steps: list[nn.Module] = []
        for a, b in pairwise(channels):
            steps += [nn.Conv2d(a, b, 3), nn.ReLU()]
        self.conv2d = nn.Sequential(*steps)
        self.fc = nn.Conv2d(16, n_outputs, 6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv2d(self.features(x))).flatten(1).mean(0)


@pytest.fixture(scope="module")
def theirs() -> TheirAxialNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return TheirAxialNet(3).eval()


def write(state: dict[str, Tensor], path: Path) -> Path:
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(OrderedDict(state), path)
    return path


@pytest.mark.parametrize("name", ["resnet18.pth", "resnet18.safetensors"])
@pytest.mark.parametrize(("architecture", "stage"), [("axialnet", 4), ("axialnet-local", 2), ("axialnet-local", 3)])
def test_published_trunk_weights_load(
    resnet: nn.Module, tmp_path: Path, name: str, architecture: str, stage: int
) -> None:
    config = AxialNetConfig(architecture, 2, cut_stage=stage, in_plane=(288, 288))  # type: ignore[arg-type]
    network = build_network(config, seed=0)
    head = network.head.weights.detach().clone()
    load_trunk_weights(network, write(resnet.state_dict(), tmp_path / name))
    reference = nn.Sequential(*list(resnet.children())[: 4 + stage])
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network.trunk(x), reference(x), rtol=0, atol=0)
    assert torch.equal(network.head.weights, head)


def test_trunk_weights_that_do_not_fit_are_refused(resnet: nn.Module, tmp_path: Path) -> None:
    narrow = build_network(AxialNetConfig(width=16, in_plane=(288, 288)), seed=0)
    path = write(resnet.state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(InputError, match="wrong shape"):
        load_trunk_weights(narrow, path)
    network = build_network(AxialNetConfig(in_plane=(288, 288)), seed=0)
    before = network.trunk.conv1.weight.detach().clone()
    part = {k: v for k, v in resnet.state_dict().items() if "layer3.1" not in k}
    with pytest.raises(InputError, match=r"missing: trunk\.layer3\.1"):
        load_trunk_weights(network, write(part, tmp_path / "part.pth"))
    with pytest.raises(InputError, match="unknown"):
        load_trunk_weights(network, write({**resnet.state_dict(), "x": torch.ones(1)}, tmp_path / "more.pth"))
    assert torch.equal(network.trunk.conv1.weight, before)


def _explode(target: str) -> None:
    Path(target).touch()


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (_explode, (str(self.target),))


def test_pickled_programs_are_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "weights.pth", tmp_path / "executed"
    torch.save({"conv1.weight": torch.zeros(1), "x": Bomb(trace)}, path)
    network = build_network(AxialNetConfig(in_plane=(288, 288)), seed=0)
    for load in (functools.partial(load_trunk_weights, network), load_authors_state_dict):
        with pytest.raises(InputError) as caught:
            load(path)
        assert caught.value.issues[0].code == "weights-unsafe"
    assert not trace.exists()


@pytest.mark.parametrize("content", [{"epoch": 3}, {}, [torch.zeros(2)], {"params": {"epoch": 3}}])
def test_files_without_a_state_dict_are_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(InputError, match="no state dict"):
        load_authors_state_dict(path)


def test_damaged_pickles_are_refused(resnet: nn.Module, tmp_path: Path) -> None:
    path = write(resnet.state_dict(), tmp_path / "weights.pth")
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"weights\.pth"):
        load_authors_state_dict(path)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapped", [None, "params", "state_dict"])
def test_the_authors_names_give_the_same_scores(
    theirs: TheirAxialNet, tmp_path: Path, prefix: str, wrapped: str | None
) -> None:
    state = {prefix + k: v for k, v in theirs.state_dict().items()}
    path = tmp_path / "AxialNet_epoch4.pth"
    torch.save({wrapped: state, "epoch": 4} if wrapped else state, path)
    model = load_authors_state_dict(path, ("a", "b", "c"), SPEC)
    assert model.metadata.training["source_sha256"] == file_sha256(path)
    assert model.architecture == "axialnet"
    if (prefix, wrapped) != ("module.", "params"):
        return
    x = torch.randn(2, 3, 420, 420)
    with torch.inference_mode():
        torch.testing.assert_close(model.network(x), theirs(x), rtol=1e-4, atol=1e-5)
        z = theirs.conv2d(theirs.features(x))  # CAM target: index 7, the last ReLU
        torch.testing.assert_close(model.network.features(x), z, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(model.closed_form()[0]), theirs.fc.weight.detach(), rtol=0, atol=0)


def test_authors_weights_need_their_labels(theirs: TheirAxialNet, tmp_path: Path) -> None:
    path = write(theirs.state_dict(), tmp_path / "three.safetensors")
    with pytest.raises(InputError, match=r"head\.fc\.weight is \(3, 576\) instead of \(80, 576\)"):
        load_authors_state_dict(path)
    with pytest.raises(InputError, match="missing"):
        load_authors_state_dict(write({"conv2d.0.bias": torch.zeros(64)}, tmp_path / "less.safetensors"))


def test_conversion_writes_a_checkpoint(
    theirs: TheirAxialNet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(theirs.state_dict(), tmp_path / "in.pth")
    labels = tmp_path / "labels.txt"
    labels.write_text("nodule\n mass\n\npleural effusion\n", encoding="utf-8")
    target = tmp_path / "out.safetensors"
    assert main([str(source), str(target), "--labels", str(labels)]) == 0
    model = load_model(target)
    assert model.labels == ("nodule", "mass", "pleural effusion")
    assert model.sha256 in capsys.readouterr().out


def test_conversion_says_why_it_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.safetensors"
    assert main([str(tmp_path / "missing.pth"), str(target)]) == 1
    assert "missing.pth" in capsys.readouterr().err
    assert not target.exists()


@pytest.fixture
def server(tmp_path: Path, resnet: nn.Module) -> Iterator[tuple[str, str]]:
    """A web server on this machine alone that holds the weights; gives (URL, SHA-256)."""
    folder = tmp_path / "www"
    folder.mkdir()
    path = write({k: v for k, v in resnet.state_dict().items() if k.startswith("conv1")}, folder / "resnet18-local.pth")

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
            pass

    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/{path.name}", file_sha256(path)
        httpd.shutdown()
        thread.join()


def test_downloads_are_checked(server: tuple[str, str], tmp_path: Path) -> None:
    url, digest = server
    path = download_trunk_weights(tmp_path / "cache", url, digest)
    assert file_sha256(path) == digest
    assert download_trunk_weights(tmp_path / "cache", "http://127.0.0.1:9/resnet18-local.pth", digest) == path


def test_a_download_with_another_hash_leaves_nothing(server: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="by hand"):
        download_trunk_weights(tmp_path / "cache", server[0], "0" * 64)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_failed_download_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="by hand"):
        download_trunk_weights(tmp_path / "cache", "http://127.0.0.1:9/resnet18.pth")


def test_the_known_hash_is_that_of_torchvisions_file_name() -> None:
    name = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1]
    assert name == f"resnet18-{RESNET18_SHA256[:8]}.pth"
