"""Time and memory of reading a DICOM series, beside a plain pydicom loop over the same files.

Both read every file of the same series, in turns; the loop keeps the stored pixels of each file and does nothing else:
no HU, no sorting, no checks. The median ratio counts (limit 1.5). Memory is the peak of a fresh process over what it
had after importing, relative to the volume of int16 HU (limit 2).

    python benchmarks/read_dicom.py [--slices 300] [--size 512] [--syntax plain rle j2k] [--runs 7] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless, generate_uid

from training.io.dicom import list_series, read_dicom

SYNTAXES = {"plain": None, "rle": RLELossless, "j2k": JPEG2000Lossless}
FILLERS = (
    *("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "StudyTime", "SeriesTime", "AcquisitionTime"),
    *("Manufacturer", "StationName", "ManufacturerModelName", "PatientName", "PatientID", "PatientBirthDate"),
    *("PatientSex", "ScanOptions", "SoftwareVersions", "ProtocolName", "PatientPosition", "StudyID", "FilterType"),
    *("KVP", "DataCollectionDiameter", "DistanceSourceToDetector", "TableHeight", "ExposureTime", "XRayTubeCurrent"),
    *("Exposure", "GeneratorPower", "WindowCenter", "WindowWidth", "AcquisitionNumber", "InstitutionName"),
)
"""Elements any scanner writes; they make the headers as long as real ones."""


def make_series(folder: Path, slices: int, size: int, syntax: str | None) -> None:
    """Write a series of noisy discs with headers of usual length."""
    random = np.random.default_rng(0)
    r, c = np.mgrid[:size, :size] - size / 2
    body = np.hypot(r, c) < 0.4 * size
    common = {"SeriesInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    for k in range(slices):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = CTImageStorage, generate_uid(), "CT"
        for keyword in FILLERS:
            setattr(ds, keyword, "20200101" if keyword.endswith("Date") else "120000")
        for keyword, value in common.items():
            setattr(ds, keyword, value)
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [-180, -180, k], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness, ds.ConvolutionKernel = [0.7, 0.7], 1, "STANDARD"
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
        stored = np.where(body, 1064, 24) + random.integers(-20, 20, (size, size))
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = size, size, 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.PixelData = stored.astype("<u2").tobytes()
        if syntax:
            ds.compress(syntax)
        ds.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)


def plain_loop(folder: Path) -> list[np.ndarray]:
    """Return the stored pixels of every file."""
    return [pydicom.dcmread(file).pixel_array for file in sorted(folder.iterdir())]


def seconds(work: Callable[[Path], object], folder: Path) -> float:
    """Return how long ``work`` takes."""
    start = time.perf_counter()
    work(folder)
    return time.perf_counter() - start


def peak_mb(folder: Path) -> float:
    """Return the peak memory of reading in a fresh process, MB above what it had before reading."""
    command = [sys.executable, __file__, "--peak", str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(folder: Path) -> None:
    """Read once in this process and print the growth of its peak memory, MB."""
    before = own_peak_kb()
    read_dicom(folder)
    print((own_peak_kb() - before) / 1024)


def own_peak_kb() -> float:
    """Return the peak memory of this process, KB. On Linux ``ru_maxrss`` would begin at that of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        return float(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)


def measure(syntax: str, slices: int, size: int, runs: int) -> dict[str, object]:
    """Return times and memory for one transfer syntax."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_series(folder, slices, size, SYNTAXES[syntax])
        seconds(plain_loop, folder)
        pairs = [(seconds(plain_loop, folder), seconds(read_dicom, folder)) for _ in range(runs)]
        headers = min(seconds(list_series, folder) for _ in range(3))
        volume_mb = slices * size * size * 2 / 2**20
        peak = peak_mb(folder)
    return {
        "syntax": syntax,
        "slices": slices,
        "size": size,
        "runs": runs,
        "loop_s": round(statistics.median(loop for loop, _ in pairs), 4),
        "read_s": round(statistics.median(read for _, read in pairs), 4),
        "ratio": round(statistics.median(read / loop for loop, read in pairs), 3),
        "headers_s": round(headers, 4),
        "volume_mb": round(volume_mb, 1),
        "peak_mb": round(peak, 1),
        "peak_to_volume": round(peak / volume_mb, 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--syntax", nargs="+", choices=SYNTAXES, default=["plain"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("HIRESCAM_SALT", "benchmark")
    if options.peak:
        print_peak(options.peak)
        return
    results = [measure(syntax, options.slices, options.size, options.runs) for syntax in options.syntax]
    for result in results:
        if not options.json:
            print(", ".join(f"{key} {value}" for key, value in result.items()))
    if options.json:
        print(json.dumps({"pydicom": pydicom.__version__, "cpus": os.cpu_count(), "results": results}))


if __name__ == "__main__":
    main()
