"""The closed forms against loops written from the equations and against autograd, in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from training.explain import cam

H, F, D1, D2, M = 4, 3, 5, 2, 6
TOLERANCE = 1e-10


@pytest.fixture
def head():
    rng = np.random.default_rng(7)
    return rng.normal(size=(H, F, D1, D2)), rng.normal(size=(M, F, D1, D2)), rng.normal(size=M)


def loop_score(z, w, b):
    """Equation 1."""
    total = 0.0
    for h in range(H):
        c = b
        for f, i, j in itertools.product(range(F), range(D1), range(D2)):
            c += w[f, i, j] * z[h, f, i, j]
        total += c
    return total / H


def loop_gradient(w):
    """Equation 9: the weights, repeated for every slice group, over H."""
    gradient = np.empty((H, F, D1, D2))
    for h in range(H):
        gradient[h] = w / H
    return gradient


def loop_hirescam(z, gradient):
    """Equation 5."""
    out = np.zeros((H, D1, D2))
    for h, f, i, j in itertools.product(range(H), range(F), range(D1), range(D2)):
        out[h, i, j] += gradient[h, f, i, j] * z[h, f, i, j]
    return out


def loop_gradcam(z, gradient):
    """Equations 3 and 4."""
    out = np.zeros((H, D1, D2))
    for f in range(F):
        alpha = 0.0
        for h, i, j in itertools.product(range(H), range(D1), range(D2)):
            alpha += gradient[h, f, i, j]
        alpha /= H * D1 * D2
        for h, i, j in itertools.product(range(H), range(D1), range(D2)):
            out[h, i, j] += alpha * z[h, f, i, j]
    return out


def autograd(z, score_of):
    """Return d score / dz [M, H, F, D1, D2] by torch in float64."""
    leaf = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    scores = score_of(leaf)
    return np.stack([torch.autograd.grad(s, leaf, retain_graph=True)[0].numpy() for s in scores])


def test_scores_are_equation_1(head):
    z, w, b = head
    assert np.allclose(cam.scores(z, w, b), [loop_score(z, w[m], b[m]) for m in range(M)], rtol=0, atol=TOLERANCE)


def test_slice_scores_average_to_the_score(head):
    per_slice = cam.slice_scores(*head)
    assert per_slice.shape == (M, H)
    assert np.allclose(per_slice.mean(axis=1), cam.scores(*head), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("closed", "loop"), [(cam.hirescam, loop_hirescam), (cam.gradcam, loop_gradcam)])
def test_closed_form_equals_the_loops(head, closed, loop):
    z, w, _ = head
    expected = np.stack([loop(z, loop_gradient(w[m])) for m in range(M)])
    assert np.allclose(closed(z, w), expected, rtol=0, atol=TOLERANCE)
    assert np.allclose(closed(z, w[2]), expected[2], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("closed", "general"),
    [(cam.hirescam, cam.hirescam_from_gradient), (cam.gradcam, cam.gradcam_from_gradient)],
)
def test_closed_form_equals_autograd(head, closed, general):
    z, w, b = head
    weight, bias = torch.tensor(w), torch.tensor(b)
    gradient = autograd(z, lambda leaf: (torch.einsum("hfij,mfij->mh", leaf, weight) + bias[:, None]).mean(dim=1))
    assert np.allclose(closed(z, w), general(z, gradient), rtol=0, atol=TOLERANCE)
    assert np.allclose(closed(z, w[1]), general(z, gradient[1]), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("general", "loop"), [(cam.hirescam_from_gradient, loop_hirescam), (cam.gradcam_from_gradient, loop_gradcam)]
)
def test_any_gradient_equals_the_loops(head, general, loop):
    z = head[0]
    gradient = np.random.default_rng(1).normal(size=(M, *z.shape))
    expected = np.stack([loop(z, g) for g in gradient])
    assert np.allclose(general(z, gradient), expected, rtol=0, atol=TOLERANCE)


def test_the_map_sums_to_the_score(head):
    z, w, b = head
    assert np.allclose(cam.hirescam(z, w).sum(axis=(1, 2, 3)) + b, cam.scores(z, w, b), rtol=0, atol=1e-13)


def test_gradcam_need_not_sum_to_the_score(head):
    z, w, b = head
    assert not np.allclose(cam.gradcam(z, w).sum(axis=(1, 2, 3)) + b, cam.scores(z, w, b), rtol=0, atol=1e-3)


def test_importance_is_equation_11(head):
    w = head[1]
    expected = [[sum(loop_gradient(w[m])[:, f].ravel()) / (H * D1 * D2) for f in range(F)] for m in range(M)]
    assert np.allclose(cam.importance(w, H), expected, rtol=0, atol=1e-15)


def test_pooled_head_all_three_methods_agree_up_to_the_constant(head):
    z = head[0]
    pooled = np.random.default_rng(2).normal(size=(M, F))
    spread = cam.spread_over_cells(pooled, D1, D2)
    expected = cam.cam(z, pooled) / (H * D1 * D2)  # equation 22, pooled over slice groups too
    assert np.allclose(cam.hirescam(z, spread), expected, rtol=0, atol=TOLERANCE)
    assert np.allclose(cam.gradcam(z, spread), expected, rtol=0, atol=TOLERANCE)
    weight = torch.tensor(pooled)
    gradient = autograd(z, lambda leaf: weight @ leaf.mean(dim=(0, 2, 3)))
    assert np.allclose(cam.hirescam_from_gradient(z, gradient), expected, rtol=0, atol=TOLERANCE)


def test_pooled_head_spread_gives_the_pooled_score(head):
    z, _, b = head
    pooled = np.random.default_rng(2).normal(size=(M, F))
    direct = pooled @ z.mean(axis=(0, 2, 3)) + b
    assert np.allclose(cam.scores(z, cam.spread_over_cells(pooled, D1, D2), b), direct, rtol=0, atol=1e-13)


def test_hirescam_follows_locations_where_gradcam_cannot():
    """Figure 3: opposite weights at two cells of an even feature; Grad-CAM's average is 0, HiResCAM keeps both."""
    z = np.ones((1, 1, 1, 2))
    w = np.array([[[1.0, -1.0]]])
    assert np.array_equal(cam.hirescam(z, w), [[[1.0, -1.0]]])
    assert np.array_equal(cam.gradcam(z, w), [[[0.0, 0.0]]])


def test_dtype_is_kept(head):
    z, w, _ = head
    assert cam.hirescam(z.astype(np.float32), w.astype(np.float32)).dtype == np.float32
    assert cam.gradcam(z.astype(np.float32), w.astype(np.float32)).dtype == np.float32
    assert cam.hirescam(z, w).dtype == np.float64
    assert cam.slice_scores(z.astype(np.float32), w.astype(np.float32), head[2]).dtype == np.float64


def test_mirrored_features_and_weights_mirror_the_map(head):
    z, w, b = head
    mirrored = cam.hirescam(z[..., ::-1], w[..., ::-1])
    assert np.array_equal(mirrored, cam.hirescam(z, w)[..., ::-1])
    assert np.allclose(cam.scores(z[..., ::-1], w[..., ::-1], b), cam.scores(z, w, b), rtol=0, atol=1e-13)


@pytest.mark.parametrize("cells", [1, 36 * 135, 10**9])
def test_label_chunks_cover_all_labels_once(cells):
    parts = list(cam.label_chunks(80, cells))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(80))
    assert all((p.stop - p.start) * cells <= cam.CHUNK_VALUES or p.stop - p.start == 1 for p in parts)
