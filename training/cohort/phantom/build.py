"""Make a phantom: draw the patient, plan the findings, paint slab by slab, add noise, write the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.anatomy import Anatomy, build_anatomy, paint_anatomy
from training.cohort.phantom.findings import IDEAS, Plan, Planned, Wish, asked_findings, draw_findings
from training.cohort.phantom.grid import FULL, SMALL, Flat, PhantomGrid, Slab
from training.cohort.phantom.noise import add_noise
from training.cohort.phantom.person import Side, draw_person
from training.cohort.phantom.report import write_report
from training.cohort.phantom.streams import stream
from training.geometry import Geometry
from training.labels import label_names
from training.volume import Provenance, Volume, pixels_sha256

SOFTWARE = "hirescam-napari phantom 1"
HU_RANGE = (-1024, 3071)

FindingRequest = Literal["none"] | Sequence[str] | Mapping[str, Wish] | None


@dataclass(frozen=True, eq=False)
class Finding:
    """A planted finding and where it is.

    ``indices`` are the flat (C order), sorted indices of its voxels in the volume; ``centre_mm`` (LPS) is the centre
    of one of them.
    """

    label: str
    side: Side | None
    centre_mm: tuple[float, float, float]
    diameter_mm: float
    sentence: str
    indices: Flat
    shape: tuple[int, int, int]

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """The voxel mask in the volume's grid."""
        flat = np.zeros(int(np.prod(self.shape)), bool)
        flat[self.indices] = True
        return flat.reshape(self.shape)

    def voxels(self) -> npt.NDArray[np.int64]:
        """Return the voxel indices [N, 3] (slice, row, column)."""
        return np.stack(np.unravel_index(self.indices, self.shape), axis=1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic chest CT with its truth.

    ``organs`` is uint8: 1 right lung, 2 left lung (each with all that lies in its pleural cavity), 3 mediastinum with
    heart and great vessels. ``labels`` holds 0 or 1 for each of the 80 labels.
    """

    seed: int
    volume: Volume
    organs: npt.NDArray[np.uint8]
    findings: tuple[Finding, ...]
    labels: dict[str, int]
    report: str


def make_phantom(
    seed: int,
    size: Literal["full", "small"] | PhantomGrid = "small",
    findings: FindingRequest = None,
    threads: int = 1,
) -> Phantom:
    """Make the phantom of ``seed``.

    Parameters
    ----------
    seed
        Decides patient, findings, wording and noise. The anatomy (mm) does not depend on the size.
    size
        ``"full"`` (405 x 420 x 420 at 0.8 mm), ``"small"``, or a grid.
    findings
        None: drawn by seed. ``"none"`` or empty: a normal chest. Names of plantable labels, or a mapping from names to
        :class:`Wish`. What falls outside a small field of view is left out of findings, labels and report.
    threads
        How many slabs are painted at a time; the result does not depend on it.
    """
    grid = {"full": FULL, "small": SMALL}[size] if isinstance(size, str) else size
    anatomy, planned = plan_phantom(seed, findings)
    hu, organs, masks = _paint(anatomy, planned, grid, threads)
    found, sentences = _findings(planned, masks, grid, anatomy)
    present = {finding.label for finding in found}
    labels = {name: int(name in present) for name in label_names()}
    provenance = Provenance("phantom", None, SOFTWARE, (), pixels_sha256(hu))
    volume = Volume(hu, grid.geometry, (), provenance, f"phantom-{seed:06d}")
    report = write_report(sentences, present, stream(seed, "report"), anatomy.person.blood_hu > 100)
    return Phantom(seed, volume, organs, tuple(found), labels, report)


def plan_phantom(seed: int, findings: FindingRequest = None) -> tuple[Anatomy, tuple[Planned, ...]]:
    """Draw the patient of ``seed`` and plan the findings, in painting order."""
    chosen = _chosen(seed, findings)
    person = draw_person(seed)
    ideas = [idea for idea in IDEAS if idea.name in chosen]
    for idea in ideas:
        if idea.alter is not None:
            person = idea.alter(person, stream(seed, f"alter {idea.name}"))
    anatomy = build_anatomy(seed, person)
    planned: list[Planned] = []
    for idea in ideas:
        hidden = [item.covers for item in planned if item.covers is not None]
        planned += idea.plan(Plan(anatomy, stream(seed, f"plan {idea.name}"), chosen[idea.name], hidden))
    return anatomy, tuple(sorted(planned, key=lambda item: item.order))


def _chosen(seed: int, findings: FindingRequest) -> dict[str, Wish]:
    if findings is None:
        return draw_findings(seed)
    if isinstance(findings, str):
        if findings != "none":
            raise ValueError(f"findings is None, 'none', names or a mapping, not {findings!r}")
        return {}
    wishes = findings if isinstance(findings, Mapping) else dict.fromkeys(findings, Wish())
    return asked_findings(wishes)


def _paint(
    anatomy: Anatomy, planned: Sequence[Planned], grid: PhantomGrid, threads: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], list[Flat]]:
    """Paint all slabs; return HU, organs and each planned finding's flat indices."""
    hu, organs = np.empty(grid.shape, np.int16), np.empty(grid.shape, np.uint8)
    clouds: dict[int, object] = {}

    def work(start: int) -> list[list[Flat]]:
        slab = Slab(grid, anatomy.person.bend, start, min(start + grid.slab_slices, grid.shape[0]), clouds)
        paint_anatomy(anatomy, slab)
        masks = [list(item.paint(slab)) for item in planned]
        add_noise(slab, anatomy.seed, anatomy.person.noise_hu)
        hu[start : slab.stop] = np.clip(np.rint(slab.hu), *HU_RANGE)
        organs[start : slab.stop] = slab.organ
        return masks

    starts = range(0, grid.shape[0], grid.slab_slices)
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(work, starts))
    else:
        parts = [work(start) for start in starts]
    return hu, organs, [_merged([m for part in parts for m in part[i]]) for i in range(len(planned))]


def _merged(parts: Sequence[Flat]) -> Flat:
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int32)


def _findings(
    planned: Sequence[Planned], masks: Sequence[Flat], grid: PhantomGrid, anatomy: Anatomy
) -> tuple[list[Finding], list[str]]:
    """Return a finding per label and mask, and the sentences of those in view."""
    found, sentences = [], []
    for item, mask in zip(planned, masks, strict=True):
        if not len(mask):
            continue
        voxels = np.stack(np.unravel_index(mask, grid.shape), axis=1)
        world = None if item.centre is None else anatomy.person.bend.to_world(item.centre)
        centre = _centre(voxels, grid.geometry, world)
        volume = len(mask) * grid.geometry.voxel_mm3
        diameter = item.diameter_mm or float((6 * volume / np.pi) ** (1 / 3))
        sentences.append(item.sentence)
        found += [Finding(label, item.side, centre, diameter, item.sentence, mask, grid.shape) for label in item.labels]
    return found, sentences


def _centre(
    voxels: npt.NDArray[np.integer], geometry: Geometry, wanted: npt.ArrayLike | None
) -> tuple[float, float, float]:
    """Return the LPS centre of the mask voxel nearest to ``wanted``, or to the mask's centre of gravity."""
    goal = voxels.mean(axis=0) if wanted is None else geometry.to_index(wanted)
    away = ((voxels - goal) * geometry.spacing_mm) ** 2
    x, y, z = geometry.to_world(voxels[int(np.argmin(away.sum(axis=1)))])
    return (float(x), float(y), float(z))
