"""HiResCAM, Grad-CAM and CAM as pure functions of Z and the head's weights or gradient.

Equation numbers are those of Draelos and Carin, "HiResCAM: Faithful Location Representation in Visual Attention for
Explainable 3D Medical Image Classification". Shapes: M labels, H slice groups, F features, D1 rows, D2 columns.
Every map is signed and unnormalised. Results have the dtype that numpy's promotion gives the inputs, so float64 inputs
are computed in float64 throughout; scores are always float64.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Float64Array = npt.NDArray[np.float64]

CHUNK_VALUES = 4_000_000
"""Most map values that one chunk of labels may hold (16 MB in float32)."""


def sigmoid(scores: Array) -> Float64Array:
    """Return the probabilities of scores, float64 of the same shape, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -scores.astype(np.float64))))


def slice_scores(z: Array, weights: Array, bias: Array) -> Float64Array:
    """Return the score of every slice group, c_mh = w_m . z_h + b_m (section 3.2).

    Parameters
    ----------
    z
        [H, F, D1, D2].
    weights
        [M, F, D1, D2], the fully connected layer shared over slices.
    bias
        [M].

    Returns
    -------
    numpy.ndarray
        float64 [M, H]; its mean over H is the score (equation 1).
    """
    flat = weights.reshape(len(weights), -1).astype(np.float64)
    return np.stack([flat @ row.astype(np.float64) for row in z.reshape(len(z), -1)], axis=1) + bias[:, None]


def scores(z: Array, weights: Array, bias: Array) -> Float64Array:
    """Return s_m = 1/H sum_h w_m . z_h + b_m (equation 1), float64 [M]; arguments as :func:`slice_scores`."""
    return np.asarray(slice_scores(z, weights, bias).mean(axis=1), dtype=np.float64)


def hirescam(z: Array, weights: Array) -> Array:
    """Return HiResCAM for a head of one fully connected layer averaged over slice groups (equations 9 and 10).

    map[h, i, j] = 1/H sum_f w[f, i, j] z[h, f, i, j], so that sum(map) + b = s (equation 7).

    Parameters
    ----------
    z
        [H, F, D1, D2].
    weights
        [F, D1, D2] for one label, or [M, F, D1, D2].

    Returns
    -------
    numpy.ndarray
        [H, D1, D2], or [M, H, D1, D2].
    """
    if weights.ndim == 3:
        return np.asarray(np.einsum("hfij,fij->hij", z, weights) / len(z))
    n_labels, n_features, rows, columns = weights.shape
    by_cell = weights.reshape(n_labels, n_features, -1).transpose(2, 0, 1)
    features = z.reshape(len(z), n_features, -1).transpose(2, 1, 0)
    maps = (by_cell @ features).transpose(1, 2, 0) / len(z)
    return np.asarray(maps.reshape(n_labels, len(z), rows, columns))


def importance(weights: Array, n_slices: int) -> Array:
    """Return Grad-CAM's importance of each feature for such a head (equations 3 and 11).

    alpha_f = 1/(H D1 D2) sum_hij 1/H w[f, i, j] = 1/(H D1 D2) sum_ij w[f, i, j].

    Parameters
    ----------
    weights
        [..., F, D1, D2].
    n_slices
        H.

    Returns
    -------
    numpy.ndarray
        [..., F].
    """
    return np.asarray(weights.mean(axis=(-2, -1)) / n_slices)


def gradcam(z: Array, weights: Array) -> Array:
    """Return 3-D Grad-CAM for such a head (equations 3, 4 and 11): map = sum_f alpha_f z[:, f].

    Arguments and result as :func:`hirescam`.
    """
    return weighted_features(z, importance(weights, len(z)))


def weighted_features(z: Array, alpha: Array) -> Array:
    """Return sum_f alpha_f z[:, f] (equation 4).

    Parameters
    ----------
    z
        [H, F, D1, D2].
    alpha
        [F] for one label, or [M, F].

    Returns
    -------
    numpy.ndarray
        [H, D1, D2], or [M, H, D1, D2].
    """
    n_slices, n_features, rows, columns = z.shape
    maps = np.atleast_2d(alpha) @ z.reshape(n_slices, n_features, -1)
    maps = maps.transpose(1, 0, 2).reshape(-1, n_slices, rows, columns)
    return np.asarray(maps if alpha.ndim == 2 else maps[0])


def cam(z: Array, weights: Array) -> Array:
    """Return CAM for a head of global average pooling and one fully connected layer (equations 15 and 16).

    map = sum_f w_f z[:, f]. For this head HiResCAM and Grad-CAM are CAM / (H D1 D2) (equations 21 and 22, with the
    pooling also over the H slice groups).

    Parameters
    ----------
    z
        [H, F, D1, D2].
    weights
        [F] for one label, or [M, F].
    """
    return weighted_features(z, weights)


def spread_over_cells(weights: Array, rows: int, columns: int) -> Array:
    """Return the fully connected weights [M, F, D1, D2] that equal pooling, then weights [M, F] (equation 21).

    The result is a read-only view that takes no more memory than ``weights``.
    """
    share = np.asarray(weights) / (rows * columns)
    return np.broadcast_to(share[:, :, None, None], (*share.shape, rows, columns))


def hirescam_from_gradient(z: Array, gradient: Array) -> Array:
    """Return HiResCAM for any head: sum_f ds/dz * z (equations 5 and 6).

    Parameters
    ----------
    z
        [H, F, D1, D2].
    gradient
        ds/dz, [H, F, D1, D2] for one label, or [M, H, F, D1, D2].

    Returns
    -------
    numpy.ndarray
        [H, D1, D2], or [M, H, D1, D2].
    """
    return np.asarray(np.einsum("...hfij,hfij->...hij", gradient, z))


def gradcam_from_gradient(z: Array, gradient: Array) -> Array:
    """Return 3-D Grad-CAM for any head: alpha_f = mean over h, i, j of ds/dz, map = sum_f alpha_f z[:, f].

    Equations 3 and 4; arguments and result as :func:`hirescam_from_gradient`.
    """
    return weighted_features(z, gradient.mean(axis=(-4, -2, -1)))


def label_chunks(n_labels: int, cells: int) -> Iterator[slice]:
    """Yield slices of labels whose maps of ``cells`` values each stay within ``CHUNK_VALUES`` (at least one label)."""
    step = max(1, CHUNK_VALUES // max(1, cells))
    for start in range(0, n_labels, step):
        yield slice(start, min(start + step, n_labels))
