"""Write a cohort of phantoms: CTs, truth masks, labels, findings and reports."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.cohort.phantom.build import SOFTWARE, FindingRequest, Phantom, make_phantom
from training.cohort.phantom.grid import PhantomGrid
from training.cohort.processes import in_processes
from training.io.atomic import atomic_path, check_folder_place
from training.io.phantoms import PHANTOM_NAME, TRUTH_FILE
from training.io.write import write_nifti
from training.issues import InputError, error
from training.labels import label_names

CT_FILE, ORGANS_FILE, FINDINGS_FILE, REPORT_FILE, NPZ_FILE = (
    "ct.nii.gz",
    "organs.nii.gz",
    "findings.nii.gz",
    "report.txt",
    "ct.npz",
)
TABLES = ("labels.csv", "findings.csv", "reports.csv")
"""What covers a cohort."""

Split = Literal["train", "valid", "test"]
Progress = Callable[[int, int, str], None]


def is_of_phantom(path: Path) -> bool:
    """Return True for the volumes that :func:`write_cohort` lays beside a phantom's CT: masks, and the CT as npz."""
    beside = path.name in (ORGANS_FILE, FINDINGS_FILE, NPZ_FILE)
    return beside and PHANTOM_NAME.fullmatch(path.parent.name) is not None and (path.parent / TRUTH_FILE).is_file()


def split_of(seed: int) -> Split:
    """Return the split of the case of ``seed``: of every seven in a row five train, one valid, one test."""
    return "valid" if seed % 7 == 5 else "test" if seed % 7 == 6 else "train"


def write_cohort(
    out: str | Path,
    n: int,
    seed: int = 0,
    size: Literal["full", "small"] | PhantomGrid = "small",
    progress: Progress | None = None,
    findings: FindingRequest = None,
    threads: int = 2,
    npz: bool = False,
    processes: int = 1,
) -> Path:
    """Write ``n`` phantoms of seeds ``seed``, ``seed + 1``, ... below ``out`` and return it.

    Every case is a folder with the CT, the organ map (1 right lung, 2 left lung, 3 mediastinum), the findings' masks
    as bits (``truth.json`` names the bit of each; several overlap freely), the report and the truth; ``npz`` adds the
    CT in the form of RAD-ChestCT. ``labels.csv`` (case, path, split, 80 labels), ``findings.csv`` and ``reports.csv``
    cover the cohort: these phantoms and those that were in the folder already. A case exists completely or not at all;
    cases that exist from the same request are kept, so an interrupted cohort goes on where it stopped.

    Several ``processes`` make several phantoms at a time, each in one thread; one process uses ``threads``. The files
    are the same.

    Raises
    ------
    ValueError
        If ``n`` is not positive.
    InputError
        If the place is not writable or the disk is full, or a table there is not of phantoms.
    """
    if n < 1:
        raise ValueError(f"a cohort needs at least one phantom, got {n}")
    folder = Path(out)
    _check_folder(folder)
    threads = threads if processes == 1 else 1
    make = partial(_case, folder=folder, size=size, findings=findings, threads=threads, npz=npz)
    for index, _ in enumerate(in_processes(make, range(seed, seed + n), processes)):
        if progress is not None:
            progress(index + 1, n, "phantoms")
    _tables(folder, _truths(folder))
    return folder


def _check_folder(folder: Path) -> None:
    """Refuse a place where no folder can be, and to replace tables of other cases than phantoms."""
    check_folder_place(folder)
    for path in (folder / name for name in TABLES if (folder / name).is_file()):
        with path.open(newline="", encoding="utf-8", errors="replace") as stream:
            cases = [row[:1] for row in csv.reader(stream)][1:]
        if not all(case and PHANTOM_NAME.fullmatch(case[0]) for case in cases):
            fact = "holds other cases than phantoms, and is left as it is"
            raise InputError(error("output-exists", fact, "Choose a folder that does not exist yet.", path.name))


def _truths(folder: Path) -> list[dict[str, object]]:
    """Return what is known of every phantom in ``folder``, by seed."""
    paths = sorted(folder.glob(f"phantom-*/{TRUTH_FILE}"))
    found: list[dict[str, object]] = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return sorted(found, key=lambda truth: int(str(truth["seed"])))


def case_name(seed: int) -> str:
    """Return the case name of ``seed``."""
    return f"phantom-{seed:06d}"


def _case(
    seed: int,
    folder: Path,
    size: Literal["full", "small"] | PhantomGrid,
    findings: FindingRequest,
    threads: int,
    npz: bool,
) -> dict[str, object]:
    """Write one case unless it is there; return its truth."""
    target = folder / case_name(seed)
    request = f"{SOFTWARE}; {size}; {'drawn' if findings is None else findings}; npz {npz}"
    if (target / TRUTH_FILE).is_file():
        truth: dict[str, object] = json.loads((target / TRUTH_FILE).read_text(encoding="utf-8"))
        if truth.get("request") == request:
            return truth
    phantom = make_phantom(seed, size, findings, threads)
    truth = truth_of(phantom, request)
    with atomic_path(target) as partial:
        partial.mkdir()
        write_case(partial, phantom, truth, npz)
    return truth


def write_case(folder: Path, phantom: Phantom, truth: dict[str, object], npz: bool = False) -> None:
    """Write the files of one phantom into an existing ``folder``."""
    geometry = phantom.volume.geometry
    write_nifti(folder / CT_FILE, phantom.volume.hu, geometry)
    write_nifti(folder / ORGANS_FILE, phantom.organs, geometry)
    write_nifti(folder / FINDINGS_FILE, finding_bits(phantom), geometry)
    if npz:
        np.savez_compressed(folder / NPZ_FILE, ct=phantom.volume.hu)
    (folder / REPORT_FILE).write_text(phantom.report + "\n", encoding="utf-8")
    (folder / TRUTH_FILE).write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


def finding_bits(phantom: Phantom) -> npt.NDArray[np.int32]:
    """Return a volume whose bit k is set in the voxels of finding k."""
    bits = np.zeros(int(np.prod(phantom.volume.hu.shape)), np.int32)
    for k, finding in enumerate(phantom.findings):
        bits[finding.indices] |= np.int32(1 << k)
    return bits.reshape(phantom.volume.hu.shape)


def truth_of(phantom: Phantom, request: str = "") -> dict[str, object]:
    """Return what is known of a phantom, as plain JSON types."""
    rows = [
        {
            "bit": k,
            "label": f.label,
            "side": f.side,
            "centre_lps_mm": [round(v, 3) for v in f.centre_mm],
            "diameter_mm": round(f.diameter_mm, 2),
            "voxels": len(f.indices),
            "sentence": f.sentence,
        }
        for k, f in enumerate(phantom.findings)
    ]
    return {
        "case": case_name(phantom.seed),
        "seed": phantom.seed,
        "request": request,
        "pixels_sha256": phantom.volume.provenance.pixels_sha256,
        "geometry": phantom.volume.geometry.to_dict(),
        "labels": [name for name, present in phantom.labels.items() if present],
        "findings": rows,
        "report": phantom.report,
    }


def _tables(folder: Path, truths: Sequence[dict[str, object]]) -> None:
    names = label_names()
    labels, findings, reports = [], [], []
    for truth in truths:
        case, present = str(truth["case"]), truth["labels"]
        flags = [int(name in present) for name in names]  # type: ignore[operator]
        labels.append([case, f"{case}/{CT_FILE}", split_of(int(str(truth["seed"]))), *flags])
        reports.append([case, str(truth["report"])])
        findings += [
            [case, row["label"], row["side"] or "", *row["centre_lps_mm"], row["diameter_mm"]]
            for row in truth["findings"]  # type: ignore[attr-defined]
        ]
    _write_csv(folder / TABLES[0], ("case", "path", "split", *names), labels)
    _write_csv(folder / TABLES[1], ("case", "label", "side", "x", "y", "z", "diameter_mm"), findings)
    _write_csv(folder / TABLES[2], ("case", "report"), reports)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
