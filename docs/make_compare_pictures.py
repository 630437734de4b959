"""Make the pictures of docs/compare.md and docs/export.md from nothing but seeds.

    python docs/make_compare_pictures.py [--cohort DIR] [--out docs/images]

Needs a display (``xvfb-run`` gives a virtual one). Makes eight small phantoms and a cohort store of them with the demo
model in ``--cohort`` (a temporary folder by default; one that holds ``data`` and ``store`` already is used as it is).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from make_pictures import shrink, window
from napari.viewer import Viewer
from PIL import Image

from hirescam_napari._demo import start_demo, wait_until_idle
from hirescam_napari._pictures import save_window, settle
from hirescam_napari._state import Layout
from hirescam_napari._widget import HiResCamWidget
from hirescam_napari.views.compare import SheetChoice
from hirescam_napari.views.export_panel import ExportChoice
from training.evaluate.animation import film_palette

ROOT = Path(__file__).resolve().parents[1]
LABEL = "pleural effusion"
CALLED = 0.5
"""Probability from which a label is shown."""


def command(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "training.cli", *map(str, arguments)], check=True, cwd=ROOT)


def make_cohort(folder: Path) -> Path:
    """Return a store of eight phantoms."""
    if not (folder / "store").exists():
        command("phantom", folder / "data", "--n", 8, "--seed", 40, "--size", "small")
        command("batch", folder / "data", "-o", folder / "store")
    return folder / "store"


def show_tab(widget: HiResCamWidget, name: str) -> None:
    names = [widget.tabs.tabText(i) for i in range(widget.tabs.count())]
    widget.tabs.setCurrentIndex(names.index(name))


def wait(widget: HiResCamWidget) -> None:
    settle(0.5)
    wait_until_idle(widget)
    settle(0.5)


def comparisons(viewer: Viewer, widget: HiResCamWidget, store: Path, out: Path) -> list[Path]:
    comparer, panel, made = widget.comparer, widget.compare_panel, []
    widget.find_organs()
    wait(widget)
    widget.controller.change(label=LABEL, show_organs=False, show_region=False)
    show_tab(widget, "Compare")
    comparer.start()
    called = [one.label for one in comparer.lists.ranked if one.probability >= CALLED]
    widget.controller.select(called[0])  # where the methods disagree most, of what the model says is there
    made.append(save_window(viewer, out / "compare-methods.png"))
    widget.controller.select(LABEL)
    panel.set_mode("placements")
    made.append(save_window(viewer, out / "compare-placements.png"))
    comparer.run_second("axialnet-local:random")
    wait(widget)
    made.append(save_window(viewer, out / "compare-models.png"))
    comparer.cohort.open(store)
    wait(widget)
    comparer.cohort.make_sheet(SheetChoice("probability", 8))
    wait(widget)
    made.append(save_window(viewer, out / "compare-cases.png"))
    with tempfile.TemporaryDirectory() as folder:  # a report goes with every sheet; the docs need the picture only
        comparer.cohort.save_sheet(Path(folder) / "compare-sheet.png")
        made.append(Path(shutil.copy(Path(folder) / "compare-sheet.png", out)))
    comparer.stop()
    return made


def exports(viewer: Viewer, widget: HiResCamWidget, out: Path) -> list[Path]:
    show_tab(widget, "Export")
    widget.export_panel.set_folder(Path("export"))
    made = [save_window(viewer, out / "export-panel.png")]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "export"
        widget.exporter.export(ExportChoice(target, ("png", "gif"), organs=False))
        wait(widget)
        for source, name in ((target / "figures", "export-figure.png"), (target / "films", "export-film.gif")):
            shutil.copy(next(source.iterdir()), out / name)
            made.append(out / name)
    shorten(out / "export-film.gif")
    return made


def shorten(film: Path, every: int = 3, width: int = 640) -> None:
    """Keep a third of the frames, smaller: the docs need no more."""
    with Image.open(film) as frames:
        kept = []
        for k in range(0, frames.n_frames, every):
            frames.seek(k)
            size = (width, round(width * frames.height / frames.width))
            kept.append(frames.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    palette = film_palette(np.asarray(kept[2 * len(kept) // 3]), grays=64)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in kept]
    small[0].save(film, save_all=True, append_images=small[1:], duration=250, loop=0)


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = make_cohort(arguments.cohort or Path(folder))
        viewer, widget = window()
        start_demo(widget)
        wait(widget)
        made = comparisons(viewer, widget, store, arguments.out)
        widget.controller.change(layout=Layout.SIDE_BY_SIDE)
        made += exports(viewer, widget, arguments.out)
        viewer.close()
    for path in made:
        if path.suffix == ".png":
            shrink(path)
        print(f"{path.stat().st_size / 1000:5.0f} KB  {path.name}")


if __name__ == "__main__":
    main()
