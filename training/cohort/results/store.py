"""Reading a cohort store: scores of all cases at once, Z of one case, and every map from it in closed form."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.cohort.results import layout as names
from training.cohort.results.cases import read_cases, read_failures
from training.cohort.results.details import read_details
from training.cohort.results.files import Arrays, damaged, find_store, read_about
from training.cohort.results.layout import DONE, ORGAN_GRIDS, Layout
from training.cohort.results.organs import labels_of, masks_of, organ_cells_from
from training.cohort.results.sources import CaseSource, Origin, read_origin
from training.explain.cam import sigmoid
from training.explain.placement import Placement
from training.explain.result import Explanation, ModelInfo
from training.geometry import CellLayout, Geometry
from training.issues import InputError, Issue, Severity, error
from training.labels import is_known
from training.partition.allowed import FloatMask, region_of
from training.partition.cells import OrganCells
from training.preprocess import InputSpec
from training.volume import Volume
from training.words import counted, counted_of

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

RIGHT, LEFT = 1, 2
"""Bits of the array ``sides``."""

_GO_ON = "Run `hirescam batch` again: it goes on, and leaves what is whole."


def open_store(path: str | os.PathLike[str]) -> CohortStore:
    """Open the cohort store that ``hirescam batch`` made at ``path``; arrays are read when they are asked for.

    Raises
    ------
    InputError
        Nothing there; not a cohort store; of another schema; damaged.
    """
    folder = find_store(path)
    if folder is None:
        fact = f"is no cohort store{'' if Path(path).exists() else ': there is no such folder'}"
        way_out = "Give a folder that `hirescam batch` wrote."
        raise InputError(error("not-a-store", fact, way_out, Path(path).name))
    about = read_about(folder)
    try:
        return CohortStore(folder, about)
    except (OSError, KeyError, TypeError, ValueError) as failure:
        raise damaged(folder, "its zarr.json does not say what it must", can_be_mended=False) from failure


class CohortStore:
    """N cases explained by one model.

    ``cases`` and ``labels`` fix the order of every array here. ``cases`` are those that have results: a store can be
    opened while ``hirescam batch`` fills it, and a case may have failed; ``planned`` are all, ``failures`` tells why.

    Parameters
    ----------
    path
        Folder of the store.
    about
        Its metadata, from :func:`training.cohort.results.files.read_about`.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        self._about = about
        self.labels: tuple[str, ...] = tuple(self._about["labels"])
        self.model = ModelInfo.from_dict(self._about["model"])
        self.layout = Layout.from_dict(self._about["layout"])
        self.input_spec = InputSpec.from_dict(self._about["input_spec"])
        self._arrays = Arrays(path, self.layout)
        self.planned, splits = read_cases(self.path, self._about["cases_sha256"])
        self._rows = np.flatnonzero(self._arrays.read("state") == DONE)
        self.cases: tuple[str, ...] = tuple(self.planned[row] for row in self._rows)
        self.splits: tuple[str, ...] = tuple(splits[row] for row in self._rows)
        self._position = {name: n for n, name in enumerate(self.cases)}

    def __len__(self) -> int:
        return len(self.cases)

    def __repr__(self) -> str:
        done = counted_of(len(self), len(self.planned), "case")
        return f"CohortStore({self.path.name}, {self.model.name}, {done}, {counted(len(self.labels), 'label')})"

    @property
    def sha256(self) -> str:
        """Identity of the store: SHA-256 of its metadata (model, cases, settings), the same as it is filled."""
        return str(self._about["sha256"])

    @property
    def cells(self) -> CellLayout:
        """Number of cells (H, D1, D2) and their receptive fields."""
        return self.layout.cells

    @property
    def made_with(self) -> Mapping[str, Any]:
        """The settings it was made with, plain JSON types."""
        return dict(self._about["made_with"])

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Probability from which a label counts as predicted, from the checkpoint."""
        return self.model.threshold

    @cached_property
    def failures(self) -> Mapping[str, str]:
        """Why cases failed, by name."""
        return read_failures(self.path)

    def position(self, case: str) -> int:
        """Return the position of ``case``.

        Raises
        ------
        KeyError
            If the store has no such case.
        InputError
            If it has no results.
        """
        if case in self._position:
            return self._position[case]
        if case not in self.planned:
            raise KeyError(f"the store has no case {case!r}")
        reason = self.failures.get(case)
        fact = f"case {case} failed: {reason}" if reason else f"case {case} is not explained yet"
        raise InputError(error("no-result", fact, _GO_ON, self.path.name))

    def index(self, label: str) -> int:
        """Return the position of ``label``; raises ``KeyError`` if the model has no such label."""
        if label not in self.labels:
            raise KeyError(f"model {self.model.name} has no label called {label!r}")
        return self.labels.index(label)

    @cached_property
    def weights(self) -> Float32Array:
        """float32 [M, F, D1, D2]: the head's weights; raises ``InputError`` where every case has its own."""
        return self._of_head("weights")

    @cached_property
    def bias(self) -> Float32Array:
        """float32 [M]; likewise."""
        return self._of_head("bias")

    def _of_head(self, name: str) -> Float32Array:
        if not self.layout.closed_form:
            fact = f"the head of {self.model.name} is not one fully connected layer: it has no weights for all cases"
            raise InputError(error("no-closed-form", fact, "Ask the explanation of a case.", self.path.name))
        return self._column(name)

    @cached_property
    def scores(self) -> Float32Array:
        """float32 [N, M]: before the sigmoid, as the network computed them."""
        scores: Float32Array = self._column("scores")
        return scores

    @cached_property
    def probabilities(self) -> FloatArray:
        """float64 [N, M]: the sigmoid of the scores."""
        return sigmoid(self.scores)

    def label_probabilities(self, label: str) -> FloatArray:
        """Return the predictions of one label for all cases, float64 [N]; faster than :attr:`probabilities`."""
        return sigmoid(self.scores[:, self.index(label)])

    @cached_property
    def truth(self) -> npt.NDArray[np.int8] | None:
        """int8 [N, M]: 1 present, 0 absent, -1 unknown; None if nothing is known of any case."""
        truth: npt.NDArray[np.int8] = self._column("truth")
        return truth if (truth >= 0).any() else None

    @cached_property
    def sides(self) -> npt.NDArray[np.uint8]:
        """uint8 [N, M]: the lungs in which a present label lies (bits ``RIGHT``, ``LEFT``); 0 if unknown."""
        sides: npt.NDArray[np.uint8] = self._column("sides")
        return sides

    def z(self, case: str) -> Float32Array:
        """Return Z of a case, float32 [H, F, D1, D2]; raises ``InputError`` if it has none or is damaged."""
        stored = np.ascontiguousarray(self._read("z", case))
        if hashlib.sha256(stored.data).digest() != self._column("z_sha256")[self.position(case)].tobytes():
            raise damaged(self.path, f"Z of case {case} does not match its checksum")
        return stored.astype(np.float32)

    def slice_scores(self, case: str) -> FloatArray:
        """Return the score of every slice group of a case, float64 [M, H]."""
        return np.asarray(self._read("slice_scores", case), dtype=np.float64)

    def label_slice_scores(self, label: str) -> Float32Array:
        """Return the slice scores of one label in all cases, float32 [N, H]."""
        values: Float32Array = self._arrays.read_label("slice_scores", self.index(label), self._rows)
        return values

    def explanation(self, case: str) -> Explanation:
        """Return the result of one case, as ``explain`` gives it and :func:`training.cohort.store.read_case` reads it.

        Raises
        ------
        KeyError
            If the store has no such case.
        InputError
            If it has no results, or they are damaged.
        """
        n, details = self.position(case), self.details(case)
        closed = self.layout.closed_form
        return Explanation(
            case_id=case,
            labels=self.labels,
            z=self.z(case),
            weights=self.weights if closed else self._read("case_weights", case),
            bias=self.bias if closed else self._column("case_bias")[n],
            scores=self.scores[n].astype(np.float64),
            input_geometry=Geometry(self.input_spec.shape, self._column("input_affine")[n]),
            image_geometry=self._image_geometry(n),
            cells=self.cells,
            model=self.model,
            device=details["device"],
            precision=details["precision"],
            seconds=details["seconds"],
            peak_rss_bytes=details["peak_rss_bytes"],
            issues=tuple(Issue(**(one | {"severity": Severity(one["severity"])})) for one in details["issues"]),
            gradient_maps=self._read("gradient_maps", case) if not closed and self.model.has_maps else None,
            computed_slice_scores=None if closed else self.slice_scores(case),
            provenance=details["provenance"],
        )

    def _image_geometry(self, n: int) -> Geometry:
        slices, rows, columns = self._column("image_shape")[n].tolist()
        return Geometry((slices, rows, columns), self._column("image_affine")[n])

    def details(self, case: str) -> dict[str, Any]:
        """Return what else is known of a case: device, precision, seconds, issues, provenance, organs' quality."""
        row = int(self._rows[self.position(case)])
        try:
            return read_details(self.path, row)
        except (OSError, ValueError) as failure:
            raise damaged(self.path, f"details of case {case} cannot be read") from failure

    def organ_bits(self, case: str, grid: str = "receptive_field") -> npt.NDArray[np.uint8] | None:
        """Return the organs of every cell as bits (bit v - 1 for organ v), uint8 [H, D1, D2]; None if none are kept.

        Parameters
        ----------
        grid
            One of :data:`ORGAN_GRIDS`; ``authors`` has cells of its own: [slice groups, 6, 6].
        """
        if "organs" not in self.layout.arrays():
            return None
        if grid == "authors":
            return self._read("authors_organs", case)
        bits: npt.NDArray[np.uint8] = self._read("organs", case)[ORGAN_GRIDS.index(grid)]
        return bits

    def organs(self, case: str, grid: str = "receptive_field") -> npt.NDArray[np.uint8] | None:
        """Return the organ of every cell, uint8 [H, D1, D2]: 0 none, 1 right lung, 2 left lung, 3 mediastinum.

        Where the masks overlap (cells between two voxels, the mask that stands in for a failed segmentation) the
        mediastinum wins; :meth:`allowed` has all of each. None if no organs are kept.
        """
        bits = self.organ_bits(case, grid)
        return None if bits is None else labels_of(bits)

    def organ_cells(self, case: str, placement: Placement = "receptive_field") -> OrganCells | None:
        """Return organs and body on the cells, with the shares that a score budget needs; None if none are kept."""
        if "organs" not in self.layout.arrays():
            return None
        return organ_cells_from(self._read("organs", case), self._read("organ_shares", case), placement)

    def allowed(self, case: str, label: str, grid: str = "receptive_field") -> FloatMask | None:
        """Return where ``label`` may lie in a case (:mod:`training.partition.allowed`), float32 [H, D1, D2] of 0 and 1.

        Lung labels are allowed on the sides that the case has them on; on both where that is unknown, for labels that
        the case has not, and always on the grid ``authors``. None if no organs are kept, or nothing is known about
        the label.
        """
        found = self.allowed_regions(case, (label,), grid) if is_known(label) else {}
        return found.get(label)

    def allowed_regions(self, case: str, labels: Iterable[str], grid: str = "receptive_field") -> dict[str, FloatMask]:
        """Return :meth:`allowed` of several labels, read once; without labels of which nothing is known."""
        bits = self.organ_bits(case, grid)
        if bits is None:
            return {}
        masks, known = masks_of(bits), [label for label in labels if is_known(label)]
        nowhere: frozenset[str] = frozenset()
        sides = {label: nowhere if grid == "authors" else self.sides_of(case, label) for label in known}
        return {label: region_of(label, masks, sides[label]) for label in known}

    def sides_of(self, case: str, label: str) -> frozenset[str]:
        """Return the lungs ("right", "left") in which a case has ``label``; empty if unknown."""
        code = int(self.sides[self.position(case), self.index(label)])
        return frozenset(name for bit, name in ((RIGHT, "right"), (LEFT, "left")) if code & bit)

    @cached_property
    def origin(self) -> Origin:
        """The cohort it was made from, where that is known."""
        try:
            return read_origin(self.path)
        except (OSError, ValueError, KeyError, TypeError) as failure:
            raise damaged(self.path, f"{names.DATA_FILE} cannot be read") from failure

    def source(self, case: str) -> CaseSource:
        """Return where the CT of a case is; raises ``InputError`` if the cohort's tables cannot be read any more."""
        return self.origin.find(case)

    def volume(self, case: str) -> Volume | None:
        """Read the CT of a case as its cohort reads it (slopes and series of its tables included).

        None if the cohort is not where it was, or has no such case any more; errors as :meth:`source`, and if the CT
        cannot be used.
        """
        return self.origin.volume(case)

    def report(self, case: str) -> str | None:
        """Return the report of a case, None if its cohort has none; errors as :meth:`source`."""
        return self.origin.report(case)

    def _column(self, name: str) -> npt.NDArray[Any]:
        """Return all rows of an array with small rows; it is read once and kept."""
        if name not in self._columns:
            values = self._arrays.read(name)
            self._columns[name] = values[self._rows] if name in self._arrays.specs else values
        return self._columns[name]

    def _read(self, name: str, case: str) -> npt.NDArray[Any]:
        """Return one row of an array with one chunk a case."""
        return self._arrays.read(name, int(self._rows[self.position(case)]))

    @cached_property
    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return {}
