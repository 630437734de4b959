"""Pictures of an evaluation as SVG text: ROC, calibration, AUROC per label, OrganIoU against baselines.

matplotlib is loaded when the first picture is drawn. The same results give the same bytes.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluate.bands import MIN_CASES, Bands
from training.evaluate.baselines import BASELINES
from training.evaluate.bootstrap import FloatArray
from training.evaluate.classification import Classification
from training.evaluate.rows import INTENDED_USE
from training.evaluate.svg import compact
from training.explain.result import METHOD_NAMES
from training.labels import display_name
from training.words import NOT_AVAILABLE, counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY, LIGHT = "#0072b2", "#d55e00", "#009e73", "#6b6b6b", "#c8c8c8"
"""Colours that people with any colour vision tell apart (Okabe & Ito 2008), and greys."""
BAR_COLOURS = {**dict.fromkeys(BASELINES, LIGHT), METHOD_NAMES["gradcam"]: GREEN}
"""Of the bars of a map; others are blue."""
PALER = 0.5
"""Opacity of the bars of a second model."""
BAR_WORDS = f"{METHOD_NAMES['hirescam']} blue, {METHOD_NAMES['gradcam']} green, baselines grey"

SETTINGS: Any = {
    "text.parse_math": False,  # a $ in a name is a $
    "svg.hashsalt": "hirescam",
    "font.size": 9,
    "path.simplify_threshold": 0.25,  # points; no line here is thinner than 0.8
    "axes.spines.top": False,
    "axes.spines.right": False,
}
NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
ROW_INCHES = 0.19
LONG_ROWS = 25
"""With more rows the scale stands above them too."""
DOT_SIZES = 8
"""Sizes of dots in the calibration plot, by the square root of their cases."""
_UNIT = (-0.01, 1.01)
"""From 0 to 1, so that lines along the edge keep their width."""


def picture(draw: Callable[[Axes], None], size: tuple[float, float]) -> str:
    """Return what ``draw`` puts on one pair of axes as SVG; ``size`` is width and height in inches."""
    return drawn(lambda figure: draw(figure.add_subplot()), size)


def drawn(draw: Callable[[Figure], None], size: tuple[float, float]) -> str:
    """Return what ``draw`` puts on a figure as SVG; ``size`` is width and height in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's own settings are
        mpl.rcParams.update(SETTINGS)
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata=NO_METADATA)
    svg = stream.getvalue()
    return compact(svg[svg.index("<svg") :])  # without the document type, which names a file elsewhere


def roc_picture(found: Classification) -> str:
    """Return the ROC of every applicable label, thin, and their mean sensitivity at every specificity, bold."""
    grid = np.linspace(0.0, 1.0, 201)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="chance")
        for fpr, tpr in found.roc.values():
            axes.plot(*corners(fpr, tpr), color=BLUE, alpha=0.25, linewidth=0.8)
        if found.roc:
            mean = np.mean([np.interp(grid, fpr, tpr) for fpr, tpr in found.roc.values()], axis=0)
            axes.plot(grid, mean, color=ORANGE, linewidth=2, label=f"mean of {counted(len(found.roc), 'label')}")
        else:
            _say_empty(axes)
        axes.set(xlabel="1 − specificity", ylabel="sensitivity", aspect="equal", xlim=_UNIT, ylim=_UNIT)
        axes.legend(loc="lower right", frameon=False)

    return picture(draw, (4.6, 4.4))


def corners(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the points of a line at which it turns, and its ends: it looks the same without the others."""
    dx, dy = np.diff(x), np.diff(y)
    moves = np.append(True, (dx != 0) | (dy != 0))  # a point that is there twice turns nothing
    x, y = x[moves], y[moves]
    dx, dy = np.diff(x), np.diff(y)
    turns = ~np.isclose(dx[:-1] * dy[1:], dx[1:] * dy[:-1], rtol=1e-9, atol=1e-12)
    kept = np.concatenate([[True], turns, [True]]) if len(x) > 1 else np.ones(len(x), dtype=bool)
    return x[kept], y[kept]


def calibration_picture(found: Classification) -> str:
    """Return share of positives against mean probability: every label's bins as dots, all labels together as a line."""
    bins = [(b.n, b.mean_probability, b.share_positive) for rows in found.reliability.values() for b in rows if b.n]

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="perfect")
        if bins:
            n, probability, share = np.array(bins, dtype=np.float64).T
            steps = np.ceil(DOT_SIZES * np.sqrt(n / n.max()))
            for step in np.unique(steps)[::-1]:  # one shape for all dots of a size takes a third of the room
                own, size = steps == step, 4 + 40 * step / DOT_SIZES
                words = "a bin of one label" if step == steps.max() else None
                axes.scatter(probability[own], share[own], s=size, color=BLUE, alpha=0.25, linewidths=0, label=words)
            axes.plot(*_pooled(found), color=ORANGE, marker="o", markersize=4, label="all labels together")
        else:
            _say_empty(axes)
        axes.set(xlabel="mean probability", ylabel="share of positives", aspect="equal", xlim=_UNIT, ylim=_UNIT)
        axes.legend(loc="upper left", frameon=False)

    return picture(draw, (4.6, 4.4))


def _say_empty(axes: Axes) -> None:
    """Write into an empty frame why it is empty."""
    words = f"{NOT_AVAILABLE}: no abnormality has\njudged cases with and without it"
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=GREY, backgroundcolor="white")


def _pooled(found: Classification) -> tuple[FloatArray, FloatArray]:
    """Return mean probability and share of positives of every bin that has cases, over all labels."""
    columns = zip(*found.reliability.values(), strict=True)
    filled = [[b for b in column if b.n] for column in columns]
    sums = np.array(
        [
            [sum(b.n * value for b in column if (value := getattr(b, name)) is not None) for name in _MEANS]
            + [sum(b.n for b in column)]
            for column in filled
            if column
        ],
        dtype=np.float64,
    )
    return sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2]


_MEANS = ("mean_probability", "share_positive")


def forest_picture(found: Classification) -> str:
    """Return AUROC of every applicable label with its interval, best first."""
    rows = [(name, i) for name, i in found.per_label("auroc").items() if i.value is not None]
    rows.sort(key=lambda row: -(row[1].value or 0.0))
    names = [f"{display_name(name)} ({found.n_positive[found.labels.index(name)]})" for name, _ in rows]

    def draw(axes: Axes) -> None:
        for y, (_, i) in enumerate(rows):
            axes.plot(np.array([i.low, i.high], dtype=np.float64), [y, y], color=BLUE, linewidth=1.2)
            axes.plot(np.array([i.value], dtype=np.float64), [y], color=BLUE, marker="o", markersize=3.5)
        axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1)
        if not rows:
            _say_empty(axes)
        axes.set(xlabel="AUROC (in brackets: positives)", yticks=range(len(names)), ylim=(len(names) - 0.4, -0.6))
        axes.set_yticklabels(names)
        axes.tick_params(top=len(rows) > LONG_ROWS, labeltop=len(rows) > LONG_ROWS)

    return picture(draw, (7.2, 0.9 + ROW_INCHES * max(3, len(rows))))


def bars_picture(rows: Sequence[Any], unit: str) -> str:
    """Return a bar with its interval for every row (``source``, ``value``, ``low``, ``high``), coloured by its map.

    Rows of one ``panel`` stand together under its name; ``bar`` is what stands beside a bar. Bars of all but the first
    ``model`` are paler. A bar of 0, which cannot be seen, is written.
    """
    models = list(dict.fromkeys(row["model"] for row in rows))
    panels: dict[str, list[Any]] = {}
    for row in rows:
        panels.setdefault(str(row["panel"]), []).append(row)
    n_bars = [max(2, len(bars)) for bars in panels.values()] or [2]

    def draw(figure: Figure) -> None:
        axes = figure.subplots(len(n_bars), 1, sharex=True, squeeze=False, height_ratios=n_bars).ravel()
        for one, (name, bars) in zip(axes, panels.items(), strict=False):
            _bars(one, name, bars, models)
        axes[-1].set_xlabel(unit)
        axes[-1].set_xlim(left=0)

    return drawn(draw, (7.2, 0.7 + sum(0.22 * n + 0.32 for n in n_bars)))


def _bars(axes: Axes, name: str, rows: Sequence[Any], models: Sequence[str]) -> None:
    for y, row in enumerate(rows):
        if row["value"] is None:
            axes.text(0, y, f" {NOT_AVAILABLE}", va="center", color=GREY)
            continue
        colour, alpha = BAR_COLOURS.get(row["source"], BLUE), PALER if row["model"] in models[1:] else 1.0
        axes.barh(y, row["value"], height=0.65, color=colour, alpha=alpha)
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [y, y], color="black", linewidth=1.2)
        if row["value"] == 0:
            axes.text(max(0, row["high"] or 0), y, " 0", va="center", color="black")
    axes.set(yticks=range(len(rows)), ylim=(len(rows) - 0.4, -0.6))
    axes.set_yticklabels([str(row["bar"]) for row in rows])
    axes.set_title(name, loc="left", fontsize=9, fontweight="bold")


def bands_picture(found: Sequence[Bands], title: str = "", columns: int = 3) -> str:
    """Return Figure 13: one panel a label, mean slice score and band of cases with (orange) and without it (blue).

    Parameters
    ----------
    title
        What stands above all panels: whose scores they are. The picture says by itself what it is not for.
    """
    columns = min(columns, max(2, len(found)))
    rows = -(-len(found) // columns)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(max(1, rows), columns, squeeze=False, sharex=True).ravel()
        for panel, one in zip(panels, found, strict=False):
            _bands(panel, one)
        for panel in panels[len(found) :]:
            panel.set_visible(False)
        for panel in panels[max(0, len(found) - columns) : len(found)]:
            panel.tick_params(labelbottom=True)  # also where the row below is not full
        heading = [*textwrap.wrap(title, 40 * columns), f"orange: {_SIDES[0]}, blue: {_SIDES[1]}"]
        figure.suptitle("\n".join(heading), fontsize=10)
        figure.supxlabel(f"slice group, from 1 at the head\n{INTENDED_USE}", fontsize=9)
        figure.supylabel("slice score", fontsize=9)

    return drawn(draw, (2.8 * columns, 1.1 + 1.9 * max(1, rows)))


_SIDES = ("cases with the abnormality", "cases without it")


def _bands(axes: Axes, one: Bands) -> None:
    groups = np.arange(1, len(one.positives_mean) + 1)
    sides = (
        (one.positives_mean, one.positives_low, one.positives_high, ORANGE),
        (one.negatives_mean, one.negatives_low, one.negatives_high, BLUE),
    )
    for mean, low, high, color in sides:
        axes.fill_between(groups, low, high, color=color, alpha=0.25, linewidth=0)
        axes.plot(groups, mean, color=color, linewidth=1.2)
    name = textwrap.fill(display_name(one.label), 34)
    counts = f"{counted(one.n_positive, 'case')} with it, {one.n_negative} without"
    axes.set_title("\n".join(filter(None, (name, counts, _without_band(one)))), fontsize=8)
    axes.margins(x=0.02)


def _without_band(one: Bands) -> str:
    """Return which curves of means have no interval for want of cases, nothing if both have one."""
    if one.kind != "mean":
        return ""
    few = [word for word, n in (("orange", one.n_positive), ("blue", one.n_negative)) if n < MIN_CASES]
    return f"no interval of {' and '.join(few)}: fewer than {MIN_CASES} cases" if few else ""
