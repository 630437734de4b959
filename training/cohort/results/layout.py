"""How a cohort store lies on disk: which arrays, of which shape, cut into which chunks and files.

Cases are filled in by *blocks*. Arrays with a large row a case (Z, organ masks) have one chunk a case and one file a
block, so that a case is read by itself and a cohort is some hundred files. Slice scores are cut by label within a
block, so that one label of all cases is read without the others. Small rows (scores, geometries) are cut into chunks of
thousands of cases, so that a whole column is a few reads. Every chunk that belongs to a case with a result is there,
with a checksum (:mod:`training.cohort.results.files`). Of N cases, M labels, Z [H, F, D1, D2]:

============== ======= ==================== ======================================================================
array          type    shape                what
============== ======= ==================== ======================================================================
state          uint8   N                    0 not explained yet, 1 explained, 2 failed
scores         float32 N, M                 before the sigmoid, as the network computed them
truth          int8    N, M                 1 present, 0 absent, -1 unknown
sides          uint8   N, M                 lung sides of a present label: 1 right, 2 left, 0 unknown or none
z              float   N, H, F, D1, D2      Z, float32 or float16
z_sha256       uint8   N, 32                of Z's bytes as stored
slice_scores   float32 N, M, H              the score of every slice group
organs         uint8   N, 2, H, D1, D2      organs of every cell as bits, by placement, see :data:`ORGAN_GRIDS`
authors_organs uint8   N, G, 6, 6           the same as the authors sample them, on their grid of G slice groups
organ_shares   uint8   N, 2, 4, H, D1, D2   share of every cell's box in each of :data:`SHARE_PLACES`, by placement
input_affine   float64 N, 4, 4              model input to patient LPS mm
image_affine   float64 N, 4, 4              CT as read to patient LPS mm
image_shape    int32   N, 3                 of the CT as read
weights, bias  float32 M, F, D1, D2 and M   the head, where it is one fully connected layer
gradient_maps  float32 N, M, H, D1, D2      HiResCAM maps, where they do not follow from Z and the head
case_weights   float32 N, M, F, D1, D2      mean gradient, where the head is another for every case
case_bias      float32 N, M                 score for Z = 0, likewise
============== ======= ==================== ======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from training.geometry import CellLayout, ReceptiveField

SCHEMA = "hirescam-cohort"
SCHEMA_VERSION = 2
"""1: chunks without a checksum, those of zeros alone left out, so that a missing one could not be told from zeros."""

CASES_FILE, DETAILS_FOLDER, PENDING_FOLDER, LOCK_FILE = "cases.csv", "details", "pending", "batch.lock"
FAILURES_FILE, DATA_FILE, LABELS_FOLDER = "failures.csv", "data.json", "labels"

NOT_DONE, DONE, FAILED = 0, 1, 2
"""Values of ``state``."""

ORGAN_GRIDS = ("receptive_field", "stretch", "authors")
"""Where cells stand when organs are brought to them: the two placements of the map's cells, and the authors' own
sampling of 6 x 6 cells stretched over the slice, to which they resample maps of other shapes (with the authors' mask
where a segmentation failed). Bit v - 1 of a cell is set where organ v is."""

AUTHORS_CELLS = (6, 6)
"""Rows and columns of the grid on which the authors measure OrganIoU."""

SHARE_PLACES = ("right lung", "left lung", "mediastinum", "body")
"""What a cell's box is shared out over, in steps of 1/255."""

ZDtype = Literal["float32", "float16"]

BLOCK_BYTES = 40_000_000
"""About how many bytes of Z lie in one file. To change this, or what follows, takes a new ``SCHEMA_VERSION``."""

LARGEST_BLOCK = 128
"""Most cases in one file; slice scores and details always have that many, however large Z is."""

USUAL_FLOATS, USUAL_REST = (0.6, 0.94), 0.15
"""Share of its bytes that an array takes when compressed: least and most for floats; most for all others."""

COLUMN_ROWS = 4096
"""Cases in one chunk of the arrays with small rows."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ArraySpec:
    """One array: its type, the shape of a case's row, how it is cut, and what stands for cases without a result."""

    dtype: str
    row: Shape
    cut: Literal["case", "label", "column"]
    blank: int = 0

    @property
    def fill(self) -> float:
        """What stands for cases without a result: ``blank``; NaN in arrays of floats, which nobody takes for one."""
        return math.nan if np.dtype(self.dtype).kind == "f" else self.blank

    @property
    def row_bytes(self) -> int:
        """Bytes of one case, uncompressed."""
        return int(np.prod(self.row, dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Layout:
    """The sizes of a store, from which all its arrays follow.

    Parameters
    ----------
    n_cases, n_labels
        N and M.
    cells
        Number of cells (H, D1, D2) and their fields.
    n_features
        F.
    n_groups
        Slice groups of the model input; H, unless the network convolves over slices.
    z_dtype
        How Z is kept.
    closed_form
        True if maps follow from Z and one set of weights for all cases.
    has_maps, has_organs
        Whether the model has maps at all, and whether organ masks are kept.
    """

    n_cases: int
    n_labels: int
    cells: CellLayout
    n_features: int
    n_groups: int
    z_dtype: ZDtype = "float32"
    closed_form: bool = True
    has_maps: bool = True
    has_organs: bool = True

    @property
    def z_row(self) -> Shape:
        """Shape of one Z."""
        h, d1, d2 = self.cells.n_cells
        return (h, self.n_features, d1, d2)

    @property
    def block(self) -> int:
        """Cases in one block, a power of two."""
        fit = max(1, BLOCK_BYTES // self.arrays()["z"].row_bytes)
        return int(min(LARGEST_BLOCK, 1 << (fit.bit_length() - 1)))

    @property
    def case_bytes(self) -> int:
        """Bytes that a case takes at most: those of its arrays, of which nothing is compressed."""
        return sum(spec.row_bytes for spec in self.arrays().values())

    @property
    def usual_bytes(self) -> tuple[int, int]:
        """Bytes that a case usually takes, compressed, from and to: 210 to 340 KB for AxialNet's float32.

        Numbers with a fraction compress by how many are zero, as features after a ReLU are: by 7 % if none is, by
        :data:`USUAL_FLOATS`' lower end if more than half are. Organs are large areas and compress to almost nothing.
        """
        specs = self.arrays().values()
        floats = sum(spec.row_bytes for spec in specs if np.dtype(spec.dtype).kind == "f")
        others = sum(spec.row_bytes for spec in specs) - floats
        (least, most), rest = USUAL_FLOATS, USUAL_REST
        return round(least * floats), round(most * floats + rest * others)

    def arrays(self) -> dict[str, ArraySpec]:
        """Return every array that holds a row for each case, by name."""
        m, (h, d1, d2) = self.n_labels, self.cells.n_cells
        found = {
            "state": ArraySpec("uint8", (), "column"),
            "scores": ArraySpec("float32", (m,), "column"),
            "truth": ArraySpec("int8", (m,), "column", -1),
            "sides": ArraySpec("uint8", (m,), "column"),
            "input_affine": ArraySpec("float64", (4, 4), "column"),
            "image_affine": ArraySpec("float64", (4, 4), "column"),
            "image_shape": ArraySpec("int32", (3,), "column"),
            "z_sha256": ArraySpec("uint8", (32,), "column"),
            "z": ArraySpec(self.z_dtype, self.z_row, "case"),
            "slice_scores": ArraySpec("float32", (m, h), "label"),
        }
        if self.has_organs and self.has_maps:
            found["organs"] = ArraySpec("uint8", (2, h, d1, d2), "case")
            found["authors_organs"] = ArraySpec("uint8", (self.n_groups, *AUTHORS_CELLS), "case")
            found["organ_shares"] = ArraySpec("uint8", (2, len(SHARE_PLACES), h, d1, d2), "case")
        if not self.closed_form:
            found["case_weights"] = ArraySpec("float32", (m, self.n_features, d1, d2), "case")
            found["case_bias"] = ArraySpec("float32", (m,), "column")
        if not self.closed_form and self.has_maps:
            found["gradient_maps"] = ArraySpec("float32", (m, h, d1, d2), "case")
        return found

    def rows(self, block: int) -> range:
        """Return the rows of a block."""
        return self._rows(block, self.block)

    def rows_in_file(self, spec: ArraySpec) -> int:
        """Return how many cases lie in one file of an array; the last has the rest."""
        return {"case": self.block, "label": LARGEST_BLOCK, "column": COLUMN_ROWS}[spec.cut]

    def file_of(self, spec: ArraySpec, row: int) -> range:
        """Return the rows that lie in one file with ``row``, and are written together."""
        size = self.rows_in_file(spec)
        return self._rows(row // size, size)

    def cut(self, spec: ArraySpec) -> tuple[Shape, Shape | None]:
        """Return the shapes of an array's chunk and shard (None: chunks are files)."""
        if spec.cut == "case":
            return (1, *spec.row), (self.block, *spec.row)
        if spec.cut == "label":
            return (LARGEST_BLOCK, 1, *spec.row[1:]), (LARGEST_BLOCK, *spec.row)
        return (COLUMN_ROWS, *spec.row), None

    def _rows(self, number: int, size: int) -> range:
        return range(number * size, min((number + 1) * size, self.n_cases))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "n_cases": self.n_cases,
            "n_labels": self.n_labels,
            "cells": {"n_cells": list(self.cells.n_cells), "fields_px": [f.__dict__ for f in self.cells.fields]},
            "n_features": self.n_features,
            "n_groups": self.n_groups,
            "z_dtype": self.z_dtype,
            "closed_form": self.closed_form,
            "has_maps": self.has_maps,
            "has_organs": self.has_organs,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Layout:
        """Inverse of :meth:`to_dict`; raises ``KeyError``, ``TypeError`` or ``ValueError`` where it is none."""
        slices, rows, columns = (ReceptiveField(**field) for field in data["cells"]["fields_px"])
        h, d1, d2 = data["cells"]["n_cells"]
        return cls(**{**data, "cells": CellLayout((h, d1, d2), (slices, rows, columns))})
