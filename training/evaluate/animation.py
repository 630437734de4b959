"""Short films through the slices of a case figure: GIF, and MP4 where an encoder is installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from training.evaluate.case_figures import CaseFigure
from training.io.atomic import atomic_path
from training.issues import Cancelled, InputError, error

if TYPE_CHECKING:
    from PIL.Image import Image

AnimationFormat = Literal["gif", "mp4"]
ANIMATIONS: tuple[AnimationFormat, ...] = ("gif", "mp4")

MOST_FRAMES = 60
"""A film longer than this takes every second, third ... slice."""

FILM_DPI = 100
"""Dots per inch of films: about 1000 pixels across."""

FRAMES_PER_SECOND = 10

Frames = Iterable[npt.NDArray[np.uint8]]


def film_slices(n_slices: int, most: int = MOST_FRAMES) -> range:
    """Return the slices of a film over ``n_slices``, head to feet, evenly spaced and at most ``most``."""
    return range(0, n_slices, -(-n_slices // most))


def draw_frames(
    figure: CaseFigure,
    slices: Sequence[int],
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield ``figure`` in each of ``slices``, uint8 [height, width, 3].

    Raises
    ------
    Cancelled
        ``cancelled`` said so.
    """
    for done, number in enumerate(slices, 1):
        if cancelled is not None and cancelled():
            raise Cancelled
        figure.show_slice(number)
        yield figure.pixels()
        if progress is not None:
            progress(done, len(slices), "film")


def write_film(
    path: str | os.PathLike[str],
    kind: AnimationFormat,
    frames: Frames,
    palette_from: npt.NDArray[np.uint8] | None = None,
) -> None:
    """Write ``frames`` (uint8 [height, width, 3], all of one size) to ``path``, complete or not at all.

    Parameters
    ----------
    palette_from
        Picture whose 256 colours a GIF uses; the first frame by default, which at the head shows little but air.

    Raises
    ------
    InputError
        MP4 without an encoder; a place that is not writable.
    ValueError
        If there are no frames.
    """
    check_encoder(kind)
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise ValueError("a film needs at least one frame")
    with atomic_path(path) as partial:
        if kind == "gif":
            _write_gif(os.fspath(partial), chain((first,), rest), first if palette_from is None else palette_from)
        else:
            _write_mp4(os.fspath(partial), chain((first,), rest))


def check_encoder(kind: AnimationFormat) -> None:
    """Refuse MP4 where its encoder is missing; GIF needs none.

    Raises
    ------
    InputError
        With the line that installs it.
    """
    if kind == "mp4" and find_spec("av") is None:
        fact = "MP4 needs the encoder PyAV, which is not installed"
        raise InputError(error("no-encoder", fact, 'Install it (pip install "hirescam-napari[video]"), or choose GIF.'))


def _write_gif(path: str, frames: Frames, palette_from: npt.NDArray[np.uint8]) -> None:
    """Write with one palette for all frames, so that colours do not flicker; rare ones, those of the map, are kept."""
    from PIL import Image

    palette = film_palette(palette_from)
    pictures = (Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    first = next(pictures)
    first.save(path, "GIF", save_all=True, append_images=pictures, duration=1000 // FRAMES_PER_SECOND, loop=0)


def film_palette(picture: npt.NDArray[np.uint8], grays: int = 96, spread: int = 24) -> Image:
    """Return 256 colours for ``picture``: even grays for the CT, and what covers the colours of the map best.

    Choosing all of them by how often they occur would leave few for a map that covers little.
    """
    from PIL import Image as Pictures

    levels = np.repeat(np.rint(np.linspace(0, 255, grays)).astype(int), 3).tolist()
    pixels = picture.reshape(-1, 3).astype(int)
    coloured = picture.reshape(-1, 3)[pixels.max(axis=1) - pixels.min(axis=1) > spread]
    if len(coloured):
        chosen = Pictures.fromarray(coloured[None]).quantize(256 - grays, method=Pictures.Quantize.MAXCOVERAGE)
        levels += (chosen.getpalette() or [])[: 3 * (256 - grays)]
    palette = Pictures.new("P", (1, 1))
    palette.putpalette(levels)
    return palette


def _write_mp4(path: str, frames: Frames) -> None:
    """Write H.264 in 4:2:0, which every browser plays; its width and height must be even."""
    import av

    pictures = (np.ascontiguousarray(_even(pixels)) for pixels in frames)
    first = next(pictures)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FRAMES_PER_SECOND), options={"crf": "18"})
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = first.shape[:2]
        for pixels in chain((first,), pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())


def _even(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    return pixels[: height // 2 * 2, : width // 2 * 2]
