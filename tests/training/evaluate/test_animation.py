"""Films hold the frames that were drawn, in order, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.evaluate import animation
from training.evaluate.animation import ANIMATIONS, check_encoder, draw_frames, film_slices, write_film
from training.evaluate.case_figures import CaseFigure, FigureStyle
from training.explain.result import Explanation
from training.issues import Cancelled, InputError


@pytest.fixture
def figure(explanation_factory: Callable[..., Explanation]) -> CaseFigure:
    made = explanation_factory(n_labels=4, n_groups=5)
    return CaseFigure(replace(made, image_geometry=made.input_geometry), None, "atelectasis", FigureStyle(dpi=40))


def ramp(n: int = 5) -> list[np.ndarray]:
    return [np.full((31, 41, 3), 40 * k, np.uint8) for k in range(n)]


def frames_of(path: Path, kind: str) -> list[np.ndarray]:
    if kind == "gif":
        with Image.open(path) as film:
            return [np.asarray((film.seek(k), film.convert("RGB"))[1]) for k in range(film.n_frames)]
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("kind", ANIMATIONS)
def test_a_film_holds_its_frames(tmp_path: Path, kind: str) -> None:
    if kind == "mp4":
        pytest.importorskip("av")
    path = tmp_path / f"film.{kind}"
    write_film(path, kind, ramp(), np.concatenate(ramp()))  # type: ignore[arg-type]
    found = frames_of(path, kind)
    assert len(found) == 5
    means = [float(frame.mean()) for frame in found]
    assert means == pytest.approx([0, 40, 80, 120, 160], abs=4)


def test_the_case_figure_moves_through_the_slices(figure: CaseFigure) -> None:
    seen: list[tuple[int, int, str]] = []
    frames = list(draw_frames(figure, range(5), lambda *step: seen.append(step)))
    assert len(frames) == 5
    assert any(not np.array_equal(frames[0], other) for other in frames[1:])
    assert seen[-1] == (5, 5, "film")


def test_a_gif_keeps_the_colours_of_the_map(figure: CaseFigure, tmp_path: Path) -> None:
    top = figure.pixels()
    write_film(tmp_path / "f.gif", "gif", [top], palette_from=top)
    (found,) = frames_of(tmp_path / "f.gif", "gif")
    coloured = (top.max(axis=2).astype(int) - top.min(axis=2)) > 60
    assert coloured.sum() > 1000
    assert np.abs(found.astype(int) - top)[coloured].mean() < 6
    assert np.abs(found.astype(int) - top)[~coloured].mean() < 3


def test_long_films_take_every_nth_slice() -> None:
    assert list(film_slices(7, 60)) == [0, 1, 2, 3, 4, 5, 6]
    assert list(film_slices(133, 60)) == list(range(0, 133, 3))
    assert len(film_slices(10_000)) <= 60


def test_cancelling_leaves_nothing(figure: CaseFigure, tmp_path: Path) -> None:
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        write_film(tmp_path / "f.gif", "gif", draw_frames(figure, range(5), cancelled=lambda: next(asked)))
    assert list(tmp_path.iterdir()) == []


def test_a_film_without_frames_is_refused(tmp_path: Path) -> None:
    def none() -> Iterator[np.ndarray]:
        yield from ()

    with pytest.raises(ValueError, match="at least one"):
        write_film(tmp_path / "f.gif", "gif", none())


def test_mp4_without_its_encoder_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "find_spec", lambda _name: None)
    check_encoder("gif")
    with pytest.raises(InputError, match=r"hirescam-napari\[video\]"):
        check_encoder("mp4")
