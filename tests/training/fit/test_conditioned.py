"""The last layer in other coordinates is the same layer."""

from __future__ import annotations

import numpy as np
import torch

from training.fit.conditioned import ConditionedHead
from training.fit.network import CaseBatch
from training.models import AxialNetConfig, build_network


def _batch(seed: int = 0) -> torch.Tensor:
    return torch.rand((6, 3, 4, 5), generator=torch.Generator().manual_seed(seed)) * 5 + 2


def _filled(head: ConditionedHead) -> ConditionedHead:
    generator = torch.Generator().manual_seed(1)
    for parameter in head.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return head


def test_scores_are_the_formula_of_the_docstring() -> None:
    head = _filled(ConditionedHead((3, 4, 5), 2)).eval()
    head.mean += 3.0
    head.variance[:] = torch.linspace(1.0, 9.0, 60).reshape(3, 4, 5)
    u = _batch()
    over_cells = head.variance.mean(dim=(1, 2), keepdim=True)
    own = head.cell / (head.variance + 0.03 * over_cells).sqrt()
    weights = (own + head.shared[:, :, None, None] / over_cells.sqrt()).detach().double().numpy() / np.sqrt(60)
    centred = (u - 3.0).double().numpy()
    expected = np.einsum("mfij,bfij->bm", weights, centred) + head.bias.detach().numpy()
    np.testing.assert_allclose(head(u).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_mean_and_deviation_follow_the_batches() -> None:
    head = ConditionedHead((3, 4, 5), 2)
    first = _batch()
    head(first)
    torch.testing.assert_close(head.mean, first.mean(dim=0))
    torch.testing.assert_close(head.variance, (first - first.mean(dim=0)).square().mean(dim=0))
    for seed in range(1, 300):
        head(_batch(seed))
    assert (head.mean - 4.5).abs().max() < 0.4
    assert (head.variance - 25 / 12).abs().max() < 0.8
    before = head.mean.clone()
    head.eval()(first)
    torch.testing.assert_close(head.mean, before)


def test_the_finished_network_has_one_plain_layer_and_the_same_scores() -> None:
    config = AxialNetConfig("axialnet-local", 2, 4, 2, (8, 4), 3, 5, (32, 32))
    batch = CaseBatch(build_network(config, 0), conditioned=True)
    assert batch.conditioned is not None
    groups = torch.randn((10, 3, 32, 32), generator=torch.Generator().manual_seed(2))
    batch.train()(groups, 2)
    _filled(batch.conditioned)
    expected = batch.eval()(groups, 2).scores
    finished = batch.finished()
    found = torch.stack([finished(groups[:5]), finished(groups[5:])])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert "conditioned" not in str(list(finished.state_dict()))
    head = {id(p) for p in batch.head_parameters()}
    body = {id(p) for p in batch.body_parameters()}
    assert head == {id(p) for p in batch.conditioned.parameters()}
    assert not head & body
