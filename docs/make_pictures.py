"""Make the pictures of the docs: the demo phantom and, where the test data is at hand, the LIDC case.

    python docs/make_pictures.py [--model demo] [--out docs/images]

Needs a display (``make pictures`` gives it a virtual one). The LIDC case is looked for in ``$HIRESCAM_SHARED`` or
``../shared/data``; without it only the phantom's pictures are made again.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from napari.viewer import Viewer
from PIL import Image

from hirescam_napari._demo import WINDOW_PX, start_demo, wait_until_idle
from hirescam_napari._pictures import take_pictures
from hirescam_napari._session import open_paths, start_session
from hirescam_napari._widget import HiResCamWidget

ROOT = Path(__file__).resolve().parents[1]
LIDC = "ct/lidc-idri-1011/LIDC-IDRI-1011_CT_133slices.zip"
LARGEST_BYTES = 400_000
LIDC_STATES = ("1-overlay-lung", "2-overlay-mediastinum", "3-side-by-side-lung", "4-side-by-side-mediastinum")


def window() -> tuple[Viewer, HiResCamWidget]:
    """Return an empty session of the size the docs show."""
    viewer, widget = start_session()
    viewer.window.resize(*WINDOW_PX)
    return viewer, widget


def phantom(out: Path, model: str) -> list[Path]:
    """Make the pictures of the demo."""
    viewer, widget = window()
    start_demo(widget, model)
    wait_until_idle(widget)
    paths = take_pictures(viewer, widget, out, "phantom-")
    viewer.close()
    return paths


def lidc(out: Path, model: str, path: Path) -> list[Path]:
    """Make the pictures of the LIDC case: windows and layouts."""
    viewer, widget = window()
    open_paths(widget, [path], model)
    wait_until_idle(widget)
    paths = take_pictures(viewer, widget, out, "lidc-")
    viewer.close()
    for extra in [path for path in paths if path.stem.removeprefix("lidc-") not in LIDC_STATES]:
        extra.unlink()
    return [path for path in paths if path.exists()]


def shrink(path: Path) -> None:
    """Give a picture that is too large a palette of 256 colors."""
    if path.stat().st_size > LARGEST_BYTES:
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(256, kmeans=4, dither=Image.Dither.NONE)
        small.save(path, "PNG", optimize=True)


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    arguments = parser.parse_args()
    made = phantom(arguments.out, arguments.model)
    case = Path(os.environ.get("HIRESCAM_SHARED", ROOT.parent / "shared" / "data")) / LIDC
    if case.is_file():
        made += lidc(arguments.out, arguments.model, case)
    for path in made:
        shrink(path)
        print(f"{path.stat().st_size / 1000:5.0f} KB  {path.name}")


if __name__ == "__main__":
    main()
