"""The result of explaining one CT: Z, the head's weights and the scores, from which every map follows in closed form.

Needs numpy only, so that a stored result can be read and shown where torch is not installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from training.explain import cam
from training.explain.map_summary import MapSummary as MapSummary
from training.explain.map_summary import summarise
from training.explain.model_info import ModelInfo as ModelInfo
from training.explain.placement import Cell, CellBox, Placement, cell_at, cell_box, covers_slice, place, where_words
from training.geometry import CellLayout, FloatArray, Geometry
from training.issues import InputError, Issue, error
from training.words import counted

Method = Literal["hirescam", "gradcam"]
METHODS: tuple[Method, ...] = ("hirescam", "gradcam")
METHOD_NAMES: Mapping[Method, str] = {"hirescam": "HiResCAM", "gradcam": "Grad-CAM"}
"""How each method is spelled for readers."""

SCALE_FLOOR = 1e-6
"""Smallest scale (score units) that a residual is taken relative to; a score this small moves no probability."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """One CT explained: scores of M labels and, from Z, their maps.

    Parameters
    ----------
    case_id
        A name that is safe to show.
    labels
        M names, in the order of the score axis.
    z
        [H, F, D1, D2] float32 (float64 for a float64 run): H slice groups, F features, D1 rows, D2 columns.
    weights
        [M, F, D1, D2]: the sum over slice groups of ds/dz_h, which for a head of one fully connected layer averaged
        over slice groups is that layer's weights (equation 9).
    bias
        [M]; the part of the score that no cell carries: the layer's bias, or the head's score for Z = 0.
    scores
        [M] float64, before the sigmoid, as the network computed them.
    input_geometry
        Geometry of the model input.
    image_geometry
        Geometry of the CT as it was read.
    cells
        Number of cells (H, D1, D2) and their receptive fields in px of the model input.
    model
        Name, hash, guarantee and the reference values of the model.
    device, precision
        Where and how the trunk ran, for example ``"cpu"`` and ``"fp32"``.
    seconds
        Wall time by stage: preprocess, trunk, maps.
    peak_rss_bytes
        Peak resident memory of the process when the explanation was made; 0 if unknown.
    issues
        What was noticed on the way, reading included.
    gradient_maps
        [M, H, D1, D2] HiResCAM maps for heads that have no closed form, else None.
    computed_slice_scores
        [M, H] as the network computed them, for heads that have no closed form, else None.
    provenance
        The volume's provenance as plain JSON types.

    Raises
    ------
    ValueError
        If shapes do not agree.
    InputError
        If Z, weights, bias or scores hold NaN or infinity.
    """

    case_id: str
    labels: tuple[str, ...]
    z: npt.NDArray[np.floating]
    weights: npt.NDArray[np.floating]
    bias: npt.NDArray[np.floating]
    scores: FloatArray
    input_geometry: Geometry
    image_geometry: Geometry
    cells: CellLayout
    model: ModelInfo
    device: str = "cpu"
    precision: str = "fp32"
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0
    issues: tuple[Issue, ...] = ()
    gradient_maps: npt.NDArray[np.floating] | None = None
    computed_slice_scores: npt.NDArray[np.floating] | None = None
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float64))
        self._check_shapes()
        self._check_finite()

    def _check_shapes(self) -> None:
        h, d1, d2 = self.cells.n_cells
        m, f = len(self.labels), self.z.shape[1]
        wanted = {"z": (h, f, d1, d2), "weights": (m, f, d1, d2), "bias": (m,), "scores": (m,)}
        wanted |= {"gradient_maps": (m, h, d1, d2), "computed_slice_scores": (m, h)}
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}, expected {shape}")

    def _check_finite(self) -> None:
        names = ("z", "weights", "bias", "scores", "gradient_maps", "computed_slice_scores")
        bad = [name for name in names if not _finite(getattr(self, name))]
        if bad:
            message = f"the network gave values that are not numbers (NaN or infinite) in {', '.join(bad)}."
            raise InputError(error("not-finite", message, "Run again with precision fp32, or use another checkpoint."))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.labels)}

    def index(self, label: str | int) -> int:
        """Return the position of ``label`` on the score axis.

        Raises
        ------
        KeyError
            If the model has no such label.
        """
        if isinstance(label, str):
            if label not in self._index:
                raise KeyError(f"model {self.model.name} has no label called {label!r}")
            return self._index[label]
        if not 0 <= label < len(self.labels):
            raise KeyError(f"model {self.model.name} has {counted(len(self.labels), 'label')}, none numbered {label}")
        return int(label)

    @cached_property
    def probabilities(self) -> FloatArray:
        """float64 [M]: the sigmoid of the scores."""
        return cam.sigmoid(self.scores)

    def ratio_to_mean(self, label: str | int) -> float | None:
        """Return the probability over the model's mean probability for ``label``; None where that is unknown."""
        i = self.index(label)
        mean = self.model.mean_probability.get(self.labels[i], 0.0)
        return float(self.probabilities[i]) / mean if mean > 0 else None

    @property
    def has_maps(self) -> bool:
        """False if the model has no maps (CTNet): there are scores then, and asking for a map is refused."""
        return self.model.has_maps

    @cached_property
    def slice_scores(self) -> FloatArray:
        """float64 [M, H]: the score of every slice group; their mean is the score where the guarantee holds.

        Heads without closed form that compute no slice scores get what their maps say: H sum_ij(map) + bias. Models
        without maps see the CT as one whole (H = 1), whose score is the score.
        """
        if not self.has_maps:
            return np.repeat(self.scores[:, None], len(self.z), axis=1)
        if self.computed_slice_scores is not None:
            return self.computed_slice_scores.astype(np.float64)
        if self.gradient_maps is not None:
            per_slice = self.gradient_maps.sum(axis=(2, 3), dtype=np.float64)
            return np.asarray(len(self.z) * per_slice + self.bias[:, None], dtype=np.float64)
        return cam.slice_scores(self.z, self.weights, self.bias)

    def top_slice(self, label: str | int) -> int:
        """Return the slice group with the highest score for ``label``."""
        return int(self.slice_scores[self.index(label)].argmax())

    def map(self, label: str | int, method: Method = "hirescam", signed: bool = True) -> npt.NDArray[np.float32]:
        """Return the map of ``label``, float32 [H, D1, D2], unnormalised.

        HiResCAM is in score units: its sum plus the bias is the score (equations 7 and 10). ``signed=False`` sets
        evidence against the abnormality to 0.

        Raises
        ------
        InputError
            If the model has no maps; :attr:`has_maps` tells.
        """
        i = self.index(label)
        one: npt.NDArray[np.float32] = self._maps(slice(i, i + 1), method)[0].astype(np.float32)
        positive: npt.NDArray[np.float32] = np.maximum(one, np.float32(0))
        return one if signed else positive

    def maps(self, method: Method = "hirescam") -> npt.NDArray[np.float32]:
        """Return the maps of all labels, float32 [M, H, D1, D2]."""
        out = np.empty((len(self.labels), *self.cells.n_cells), dtype=np.float32)
        for part in self._chunks():
            out[part] = self._maps(part, method)
        return out

    def _chunks(self) -> list[slice]:
        return list(cam.label_chunks(len(self.labels), int(np.prod(self.cells.n_cells))))

    def _maps(self, part: slice, method: Method) -> npt.NDArray[np.floating]:
        if method not in METHODS:
            raise ValueError(f"no method is called {method!r}; there are {', '.join(METHODS)}")
        if not self.has_maps:
            way_out = "Use its scores, or choose a model that has maps."
            raise InputError(error("no-map", f"{self.model.name} has no maps. {self.model.guarantee_words}", way_out))
        if method == "gradcam":
            return cam.gradcam(self.z, self.weights[part])
        if self.gradient_maps is not None:
            return self.gradient_maps[part]
        if part.stop - part.start == 1:
            return cam.hirescam(self.z, self.weights[part.start])[None]
        return cam.hirescam(self.z, self.weights[part])

    def summary(self, method: Method = "hirescam") -> MapSummary:
        """Return sums and extremes of the maps of all labels; computed once, one chunk of labels at a time."""
        if method not in self._summaries:
            parts = [summarise(self._maps(part, method)) for part in self._chunks()]
            self._summaries[method] = MapSummary(*np.concatenate(parts, axis=1))
        return self._summaries[method]

    @cached_property
    def _summaries(self) -> dict[Method, MapSummary]:
        return {}

    @property
    def scale(self) -> FloatArray:
        """float64 [M]: the scale of each score, sum(abs(HiResCAM map)) + abs(bias), score units.

        It is all evidence for and against, with its bias: what a rounding error has to be compared with, since the
        score itself may be near zero by cancellation. Never less than ``SCALE_FLOOR``.
        """
        return np.asarray(np.maximum(self.summary("hirescam").absolute + np.abs(self.bias), SCALE_FLOOR))

    @property
    def residual(self) -> FloatArray:
        """float64 [M]: abs(sum(HiResCAM map) + bias - score) / :attr:`scale` (equation 7), summed in float64.

        NaN where the model has no maps.
        """
        if not self.has_maps:
            return np.full(len(self.labels), np.nan)
        return np.asarray(np.abs(self.summary("hirescam").total + self.bias - self.scores) / self.scale)

    def geometry(self, method: Method = "hirescam", placement: Placement = "receptive_field") -> Geometry:
        """Return the geometry of the maps; both methods live on the cells of Z."""
        if method not in METHODS:
            raise ValueError(f"no method is called {method!r}; there are {', '.join(METHODS)}")
        return place(self.input_geometry, self.cells, placement)

    @property
    def receptive_field_px(self) -> tuple[int, int, int]:
        """Size of what a cell could see along (slice, row, column), px of the model input."""
        slice_, row, column = self.cells.fields
        return (slice_.size_px, row.size_px, column.size_px)

    @property
    def receptive_field_mm(self) -> tuple[float, float, float]:
        """Size of what a cell could see along (slice, row, column), mm."""
        sizes = [px * mm for px, mm in zip(self.receptive_field_px, self.input_geometry.spacing_mm, strict=True)]
        return (sizes[0], sizes[1], sizes[2])

    @property
    def field_covers_slice(self) -> bool:
        """True if a cell's field is as large as the slice: the map cannot tell where in the slice evidence lay."""
        return covers_slice(self.input_geometry, self.cells)

    @property
    def where_words(self) -> str:
        """How far the maps can tell where in the slice the evidence lay, for readers."""
        return where_words(self.input_geometry, self.cells)

    def cell_box(self, cell: Cell) -> CellBox:
        """Return what ``cell`` (slice group, row, column) could see, in px of the model input and LPS mm."""
        return cell_box(self.input_geometry, self.cells, cell)

    def cell_at(
        self, world_mm: npt.ArrayLike, method: Method = "hirescam", placement: Placement = "receptive_field"
    ) -> Cell | None:
        """Return the cell drawn at the LPS point ``world_mm``, or None outside the map."""
        return cell_at(self.geometry(method, placement), np.asarray(world_mm, dtype=np.float64))

    def image_slice(self, group: int) -> int:
        """Return the slice of the CT nearest to the centre of slice group ``group``, kept within the CT."""
        centre = self.input_geometry.to_world(self._middle(group))
        position = float(self.image_geometry.to_index(centre)[0])
        return int(np.clip(np.floor(position + 0.5), 0, self.image_geometry.shape[0] - 1))

    def _middle(self, group: int) -> FloatArray:
        slice_field = self.cells.fields[0]
        rows, columns = self.input_geometry.shape[1:]
        return np.array([slice_field.start_px + slice_field.jump_px * group, (rows - 1) / 2, (columns - 1) / 2])

    def group_at(self, image_slice: float) -> float:
        """Return the slice group, as a fraction, at slice ``image_slice`` of the CT; may lie outside 0 .. H - 1."""
        rows, columns = self.image_geometry.shape[1:]
        point = self.image_geometry.to_world([image_slice, (rows - 1) / 2, (columns - 1) / 2])
        return float(self.geometry().to_index(point)[0])

    def with_issues(self, *issues: Issue) -> Explanation:
        """Return the same explanation with ``issues`` appended."""
        return self._annotated(issues=(*self.issues, *issues))

    def with_cost(self, seconds: Mapping[str, float], peak_rss_bytes: int) -> Explanation:
        """Return the same explanation with what it took to make it."""
        return self._annotated(seconds=dict(seconds), peak_rss_bytes=peak_rss_bytes)

    def _annotated(self, **changes: Any) -> Explanation:
        """Change what no map depends on; what was computed stays."""
        changed = replace(self, **changes)
        changed.__dict__["_summaries"] = self._summaries
        return changed

    def __repr__(self) -> str:
        return f"Explanation({self.case_id}, {self.model.name}, {counted(len(self.labels), 'label')}, Z {self.z.shape})"


def _finite(array: npt.NDArray[np.floating] | None) -> bool:
    return array is None or bool(np.isfinite(array).all())
