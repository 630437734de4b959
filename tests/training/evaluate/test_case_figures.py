"""Case figures say what is needed to read them, and put evidence, sides and slices where they are."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from PIL import Image

from training.evaluate.case_figures import FORMATS, CaseFigure, FigureStyle
from training.evaluate.figure_marks import bar_length_mm, colormap, plane_extent
from training.explain.display import FOR_COLORS, PerLabel, policy_named
from training.explain.result import Explanation, Method
from training.geometry import Geometry
from training.labels import display_name
from training.picture import Picture

LABEL = "atelectasis"
SMALL = FigureStyle(dpi=60)


@pytest.fixture
def explanation(explanation_factory: Callable[..., Explanation]) -> Explanation:
    made = explanation_factory(n_labels=6, n_groups=9)
    return replace(made, image_geometry=made.input_geometry.resampled((2.4, 5.25, 5.25)))


@pytest.fixture
def picture(explanation: Explanation) -> Picture:
    return Picture(np.full(explanation.image_geometry.shape, -1000, np.int16), explanation.image_geometry)


def words(figure: CaseFigure) -> str:
    found = [text.get_text() for text in figure.figure.texts]
    for axes in figure.figure.axes:
        found += [axes.get_title(), *(text.get_text() for text in axes.texts)]
    return "\n".join(found)


def test_everything_needed_to_read_it_is_in_the_figure(explanation: Explanation, picture: Picture) -> None:
    said = words(CaseFigure(explanation, picture, LABEL, SMALL))
    name = display_name(LABEL)
    probability = round(100 * float(explanation.probabilities[explanation.index(LABEL)]))
    for expected in (
        name[:1].upper() + name[1:],
        f"{probability} %",
        "the model's mean",
        "HiResCAM",
        "Grad-CAM",
        "CT (−1350 to 150 HU)",
        "NOT FOR CLINICAL USE",
        "axialnet:synthetic",
        "SHA-256 000000000000",
        "could see the whole slice",
        "cells stand where they look",
        "100 mm",
        "this label's own maximum",
    ):
        assert expected in said.replace("\n", " "), expected
    assert [said.split("\n").count(letter) for letter in "RLAP"] == [3, 3, 3, 3]


@pytest.mark.parametrize(("hu", "part"), [(3000, 0.75), (-3000, 0.25)])
def test_the_colour_bar_has_the_colours_of_the_map_as_it_lies_on_the_ct(
    explanation: Explanation, picture: Picture, hu: int, part: float
) -> None:
    figure = CaseFigure(explanation, Picture(np.full_like(picture.hu, hu), picture.geometry), LABEL, SMALL)
    pixels = figure.pixels().astype(int)
    height, width = pixels.shape[:2]

    def color_at(axes: Axes, x: float, y: float) -> npt.NDArray[np.int_]:
        box = axes.get_position()
        return pixels[int(height * (1 - box.y0 - y * box.height)), int(width * (box.x0 + x * box.width))]

    shown = figure.map_axes[0].images[1]
    values = np.asarray(shown.get_array())
    row, column = np.unravel_index(values.argmax(), values.shape)
    left, right, bottom, top = shown.get_extent()
    x = left + (column + 0.5) / values.shape[1] * (right - left)
    y = top + (row + 0.5) / values.shape[0] * (bottom - top)
    axes = figure.map_axes[0]
    (low, high), (lower, upper) = axes.get_xlim(), axes.get_ylim()
    on_map = color_at(axes, (x - low) / (high - low), (y - lower) / (upper - lower))
    bar = next(one for one in figure.figure.axes if one not in figure.map_axes and len(one.images) == 2)
    share = float(values.max()) / figure.shows["hirescam"].limits[1]
    assert color_at(bar, min(share, 0.99), part) == pytest.approx(on_map, abs=8)


@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_opacity_counts_once_in_every_kind_of_file(explanation: Explanation, picture: Picture, kind: str) -> None:
    data = CaseFigure(explanation, picture, LABEL, SMALL).save(kind)  # type: ignore[arg-type]
    images = _svg_images(data) if kind == "svg" else _pdf_images(data)
    bars = [image for image in images if image.shape[1] > 8 * image.shape[0]]
    assert len(bars) == 2
    for bar in bars:
        over_black, over_white = sorted((bar[2, -3], bar[-3, -3]), key=lambda color: int(color.sum()))
        color = np.multiply(FOR_COLORS[-1][:3], 0.6 * 255)
        assert over_black == pytest.approx(color, abs=8)
        assert over_white == pytest.approx(color + 0.4 * 255, abs=8)


def _svg_images(data: bytes) -> list[npt.NDArray[np.uint8]]:
    found = re.findall(rb'<image[^>]*base64,\s*([^"]+)"', data)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB")) for one in found]


def _pdf_images(data: bytes) -> list[npt.NDArray[np.uint8]]:
    """Return the images of full colour; their streams are those of PNG pictures."""
    look = rb"/Width (\d+) /Height (\d+)\s/ColorSpace /DeviceRGB[^>]*>>[^>]*>>\sstream\n(.*?)\nendstream"
    return [_png(int(w), int(h), pixels) for w, h, pixels in re.findall(look, data, re.DOTALL)]


def _png(width: int, height: int, pixels: bytes) -> npt.NDArray[np.uint8]:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts]
    return np.asarray(Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))))


def test_the_top_slice_is_shown_first(explanation: Explanation, picture: Picture) -> None:
    figure = CaseFigure(explanation, picture, LABEL, SMALL)
    assert figure.slice == explanation.image_slice(explanation.top_slice(LABEL))
    assert f"slice {figure.slice + 1} of {picture.geometry.shape[0]}" in words(figure)


def test_right_is_on_the_left_and_front_at_the_top(explanation: Explanation, picture: Picture) -> None:
    hu = picture.hu.copy()
    rows, columns = hu.shape[1:]
    hu[:, : rows // 4, : columns // 4] = 400  # in front, on the patient's right
    figure = CaseFigure(explanation, Picture(hu, picture.geometry), LABEL, SMALL)
    box = figure.figure.axes[0].get_position()
    pixels = figure.pixels()
    height, width = pixels.shape[:2]

    def gray_at(x: float, y: float) -> int:
        return int(pixels[int(height * (1 - box.y0 - y * box.height)), int(width * (box.x0 + x * box.width)), 0])

    assert gray_at(0.12, 0.85) == 255
    assert max(gray_at(0.88, 0.85), gray_at(0.12, 0.12), gray_at(0.88, 0.4)) < 100


def test_maps_lie_where_their_cells_are(explanation: Explanation, picture: Picture) -> None:
    for placement in ("receptive_field", "stretch"):
        figure = CaseFigure(explanation, picture, LABEL, replace(SMALL, placement=placement))
        grid = explanation.geometry("hirescam", placement)
        image = figure.figure.axes[1].images[1]
        assert image.get_extent() == pytest.approx(plane_extent(grid))
        corner = grid.to_world((0, -0.5, -0.5))
        assert image.get_extent()[0] == pytest.approx(corner[0])
        assert image.get_extent()[3] == pytest.approx(corner[1])
        shown = np.asarray(image.get_array())
        assert np.array_equal(shown, explanation.map(LABEL)[figure.group_at(figure.slice)])


def test_slices_without_cells_show_no_map(explanation: Explanation) -> None:
    grid = explanation.image_geometry
    longer = grid.subgrid((-5, 0, 0), (1, 1, 1), (grid.shape[0] + 10, *grid.shape[1:]))
    figure = CaseFigure(explanation, Picture(np.zeros(longer.shape, np.int16), longer), LABEL, SMALL)
    figure.show_slice(0)
    assert figure.group_at(0) is None
    assert not np.any(np.asarray(figure.figure.axes[1].images[1].get_array()))
    with pytest.raises(IndexError):
        figure.show_slice(longer.shape[0])


def test_without_a_ct_the_maps_are_drawn_alone(explanation: Explanation) -> None:
    figure = CaseFigure(explanation, None, LABEL, SMALL)
    said = words(figure)
    assert figure.n_slices == 9
    assert figure.slice == explanation.top_slice(LABEL)
    assert "slice group" in said
    assert "CT (" not in said


def test_signed_maps_use_both_colours_and_say_so(explanation: Explanation, picture: Picture) -> None:
    style = replace(SMALL, policy=PerLabel(signed=True), methods=("hirescam",))
    figure = CaseFigure(explanation, picture, LABEL, style)
    assert "for (+) and against" in words(figure).replace("\n", " ")
    low, high = figure.shows["hirescam"].limits
    assert low == -high
    assert colormap("diverging")(0.0)[2] > 0.9
    assert colormap("sequential")(0.0)[3] == 0.0
    paper = CaseFigure(explanation, picture, LABEL, replace(SMALL, policy=policy_named("paper")))
    assert "paper's scaling" in words(paper).replace("\n", " ")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_case_gives_the_same_file(explanation: Explanation, picture: Picture, kind: str) -> None:
    first, second = (CaseFigure(explanation, picture, LABEL, SMALL).save(kind) for _ in range(2))  # type: ignore[arg-type]
    assert first == second
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[kind]
    assert first.startswith(start)
    assert b"Matplotlib v" not in first


def test_names_with_dollars_and_unknown_labels_are_drawn_as_they_are(explanation: Explanation) -> None:
    odd = replace(explanation, labels=("$x_1$", *explanation.labels[1:]))
    figure = CaseFigure(odd, None, "$x_1$", SMALL)
    assert "$x_1$" in words(figure)
    assert figure.save("png").startswith(b"\x89PNG")


@pytest.mark.parametrize("methods", [("hirescam",), ("hirescam", "gradcam")])
@pytest.mark.parametrize("shape", ["square", "low", "narrow", "no CT"])
@pytest.mark.parametrize(
    "label", ["gi", "a finding with a name as long as those of coronary artery bypass grafting " * 2]
)
def test_nothing_is_written_over_anything_else_or_over_the_edge(
    explanation: Explanation, picture: Picture, methods: tuple[Method, ...], shape: str, label: str
) -> None:
    rows, columns = picture.hu.shape[1:]
    cuts = {"square": (rows, columns), "low": (rows // 4, columns), "narrow": (rows, columns // 4)}
    shown = None
    if shape in cuts:
        size = (picture.hu.shape[0], *cuts[shape])
        grid = picture.geometry.subgrid((0, 0, 0), (1, 1, 1), size)
        shown = Picture(picture.hu[: size[0], : size[1], : size[2]], grid)
    named = replace(explanation, labels=(label, *explanation.labels[1:]))
    means = {label: 0.001}
    named = replace(
        named,
        model=replace(
            named.model, mean_probability=means, name="a-model-with-a-rather-long-name-of-fold-3.safetensors"
        ),
    )
    figure = CaseFigure(named, shown, label, replace(SMALL, methods=methods))
    figure.pixels()
    edge = figure.figure.bbox
    titles = [axes.title for axes in figure.figure.axes if axes.get_title()]
    pictures = [axes.get_window_extent() for axes in figure.figure.axes]
    boxes = [text.get_window_extent().padded(-0.5) for text in (*figure.figure.texts, *titles)]
    for n, box in enumerate(boxes):
        assert edge.x0 <= box.x0 < box.x1 <= edge.x1, (*figure.figure.texts, *titles)[n].get_text()
        assert edge.y0 <= box.y0 < box.y1 <= edge.y1
        assert not any(box.overlaps(other) for other in (*boxes[:n], *pictures))
    for axes in figure.figure.axes:
        for text in axes.texts:
            box, own = text.get_window_extent(), axes.get_window_extent()
            assert own.y0 <= box.y0 < box.y1 <= own.y1, text.get_text()
            assert own.x0 - 1 <= box.x0 < box.x1 <= own.x1 + 1, text.get_text()


def test_bars_have_round_lengths() -> None:
    assert [bar_length_mm(width) for width in (336.0, 160.0, 31.0, 2.0)] == [100, 50, 10, 1]


def test_edges_of_a_slice_in_mm() -> None:
    grid = Geometry.canonical((3, 4, 5), (2.0, 1.0, 0.5), (10.0, 20.0, 30.0))
    assert plane_extent(grid) == pytest.approx((9.75, 12.25, 23.5, 19.5))
