"""How a map is scaled for display: explicit policies, each of which says in words what its colours mean.

A policy never changes what is stored. It gives the values to draw, the limits of the colour scale, the kind of colormap
and the words for the colour bar, so that two pictures can be compared only where they really share a scale.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from training.explain.result import METHOD_NAMES, Explanation, Method
from training.issues import InputError, error

ColormapKind = Literal["sequential", "diverging"]
Limits = tuple[float, float]
MapArray = npt.NDArray[np.float32]

Rgba = tuple[float, float, float, float]

FOR_COLORS: tuple[Rgba, ...] = (
    (0.75, 0.0, 0.15, 0.0),
    (0.85, 0.10, 0.10, 0.55),
    (0.98, 0.45, 0.05, 0.9),
    (1.0, 0.9, 0.25, 1.0),
)
"""Evidence for: from transparent over red and orange to yellow, at ``FOR_CONTROLS`` of the scale."""

AGAINST_COLORS: tuple[Rgba, ...] = (
    (0.45, 0.9, 1.0, 1.0),
    (0.15, 0.6, 0.95, 0.9),
    (0.10, 0.25, 0.8, 0.55),
    (0.05, 0.1, 0.6, 0.0),
)
"""Evidence against, strongest first: light blue to transparent."""

FOR_CONTROLS = (0.0, 0.25, 0.6, 1.0)
DIVERGING_CONTROLS = (0.0, 0.2, 0.375, 0.5, 0.5, 0.625, 0.8, 1.0)
"""Where ``AGAINST_COLORS`` followed by ``FOR_COLORS`` stand on a symmetric scale."""

NOTHING = float(np.finfo(np.float32).tiny)
"""Values up to this count as zero: nothing is left to scale by."""


@dataclass(frozen=True, eq=False)
class Display:
    """A map ready to draw.

    Parameters
    ----------
    values
        float32 [H, D1, D2].
    limits
        Low and high end of the colour scale, in the units of ``values``; low < high always.
    colormap
        ``"sequential"`` (0 to high) or ``"diverging"`` (symmetric about 0).
    words
        What the colour bar says.
    """

    values: MapArray
    limits: Limits
    colormap: ColormapKind
    words: str


def positive_limits(reach: float) -> Limits:
    """Return (0, reach); (0, 1) where there is nothing above 0.

    Raises
    ------
    InputError
        If ``reach`` is NaN or infinite.
    """
    _refuse_not_finite(reach)
    return (0.0, reach if reach > NOTHING else 1.0)


def symmetric_limits(reach: float) -> Limits:
    """Return (-reach, reach); (-1, 1) where there is nothing but 0. Errors as :func:`positive_limits`."""
    high = positive_limits(reach)[1]
    return (-high, high)


def relu_max(values: MapArray) -> MapArray:
    """Return the paper's post-processing of one map: ReLU, minus the minimum, divided by the maximum (section 3.3).

    Over the whole volume and one label, as the authors' code does; the division is left out where the maximum is 0.

    Raises
    ------
    InputError
        If a value is NaN or infinite.
    """
    _refuse_not_finite(values)
    positive = np.maximum(values, np.float32(0))
    positive = positive - positive.min()
    top = positive.max()
    return np.asarray(positive / top if top > NOTHING else positive, dtype=np.float32)


def _refuse_not_finite(values: npt.ArrayLike) -> None:
    if not np.isfinite(values).all():
        message = "a map holds values that are not numbers (NaN or infinite), so it has no colour scale."
        raise InputError(error("not-finite", message, "Explain the CT again with precision fp32."))


class Policy(ABC):
    """A way to scale maps; ``policy.show(explanation, label, method)`` gives what to draw."""

    name: ClassVar[str]

    @abstractmethod
    def show(self, explanation: Explanation, label: str | int, method: Method = "hirescam") -> Display:
        """Return the map of ``label`` scaled by this policy; errors as :meth:`Explanation.map`."""


@dataclass(frozen=True, kw_only=True)
class Unchanged(Policy):
    """Base of the policies that draw the map as it is and differ only in where the colour scale ends.

    ``signed=False`` draws evidence for the abnormality from 0 up; ``signed=True`` draws both signs about 0.
    """

    signed: bool = False
    scope: ClassVar[str]
    """Whose extreme the scale ends at, for the colour bar; where it says so, {extreme} is filled in."""

    @abstractmethod
    def reach(self, explanation: Explanation, label: str | int, method: Method) -> float:
        """Return where the colour scale ends."""

    def show(self, explanation: Explanation, label: str | int, method: Method = "hirescam") -> Display:
        """Return the unchanged map of ``label`` with this policy's limits."""
        values = explanation.map(label, method)
        reach = self.reach(explanation, label, method)
        extreme_words = "largest magnitude, for or against" if self.signed else "maximum"
        end = f"{self.scope.format(extreme=extreme_words)} = {_amount(reach, explanation, method)}"
        if self.signed:
            words = f"{METHOD_NAMES[method]}, evidence for (+) and against (-), {end}"
            return Display(values, symmetric_limits(reach), "diverging", words)
        return Display(
            values, positive_limits(reach), "sequential", f"{METHOD_NAMES[method]}, positive evidence, {end}"
        )


def _amount(value: float, explanation: Explanation, method: Method) -> str:
    """Return a map value with its unit."""
    return f"{value:.3g} {unit_words(explanation, method)}" if value > NOTHING else "0 (nothing to show)"


def unit_words(explanation: Explanation, method: Method) -> str:
    """Return the unit of a map's values; only HiResCAM on a head with the guarantee is in score units."""
    if method == "gradcam":
        return "Grad-CAM units (they do not add up to the score)"
    return "score units" if explanation.model.guarantee_holds else "gradient x feature units"


def extreme(values: npt.NDArray[np.floating], signed: bool) -> float:
    """Return the largest value of a map (``signed``: the largest absolute value), at least 0."""
    return float(max(values.max(), -values.min() if signed else 0, 0))


@dataclass(frozen=True, kw_only=True)
class PerLabel(Unchanged):
    """End at the map's own extreme: uses all colours, cannot be compared between abnormalities."""

    name: ClassVar[str] = "per_label"
    scope: ClassVar[str] = "this label's own {extreme}"

    def reach(self, explanation: Explanation, label: str | int, method: Method) -> float:
        """Return the extreme of this map."""
        return extreme(explanation.map(label, method), self.signed)


@dataclass(frozen=True, kw_only=True)
class SharedOverLabels(Unchanged):
    """End at the extreme over all labels of this CT: colours mean the same for every abnormality."""

    name: ClassVar[str] = "shared_labels"
    scope: ClassVar[str] = "{extreme}, over all labels of this CT"

    def reach(self, explanation: Explanation, label: str | int, method: Method) -> float:  # noqa: ARG002 - same for all
        """Return the extreme over the maps of all labels."""
        summary = explanation.summary(method)
        return extreme(np.concatenate([summary.low, summary.high]), self.signed)


@dataclass(frozen=True, kw_only=True)
class SharedOverTwoModels(Unchanged):
    """End at the extreme of this label in two models' explanations: the same colours mean the same in both.

    ``other`` is the explanation that the shown one is compared with; the limits are the same with the two exchanged.
    """

    other: Explanation
    name: ClassVar[str] = "shared_models"
    scope: ClassVar[str] = "this label's {extreme}, in two models"

    def reach(self, explanation: Explanation, label: str | int, method: Method) -> float:
        """Return the extreme of this label's map in either explanation; the labels go by name.

        Raises
        ------
        KeyError
            If one of the models has no such label.
        """
        name = explanation.labels[explanation.index(label)]
        return max(extreme(e.map(name, method), self.signed) for e in (explanation, self.other))


@dataclass(frozen=True, kw_only=True)
class Absolute(Unchanged):
    """End at a fixed value: colours mean the same in every CT, model and abnormality.

    Raises
    ------
    ValueError
        If ``limit`` is not a number above 0.
    """

    limit: float
    name: ClassVar[str] = "absolute"
    scope: ClassVar[str] = "fixed limit"

    def __post_init__(self) -> None:
        if not NOTHING < self.limit < np.inf:
            raise ValueError(f"the limit of an absolute scale must be above 0, got {self.limit}")

    def reach(self, explanation: Explanation, label: str | int, method: Method) -> float:  # noqa: ARG002 - fixed
        """Return the fixed limit."""
        return self.limit


@dataclass(frozen=True, kw_only=True)
class PaperReluMax(Policy):
    """The paper's figures: ReLU, then divided by the map's own maximum; the size of the evidence is lost."""

    name: ClassVar[str] = "paper"

    def show(self, explanation: Explanation, label: str | int, method: Method = "hirescam") -> Display:
        """Return the map scaled to 0 .. 1 (see :func:`relu_max`)."""
        values = explanation.map(label, method)
        top = _amount(extreme(values, signed=False), explanation, method)
        words = f"{METHOD_NAMES[method]}, paper's scaling: negative evidence cut, 1 = this label's own maximum = {top}"
        return Display(relu_max(values), (0.0, 1.0), "sequential", words)


def policy_named(
    name: str, *, signed: bool = False, limit: float | None = None, other: Explanation | None = None
) -> Policy:
    """Return the policy called ``name``: per_label, shared_labels, shared_models, absolute or paper.

    Raises
    ------
    ValueError
        If there is no such policy, or the one named lacks what it needs (``limit`` or ``other``).
    """
    if name == PaperReluMax.name:
        return PaperReluMax()
    if name == Absolute.name and limit is not None:
        return Absolute(limit=limit, signed=signed)
    if name == SharedOverTwoModels.name and other is not None:
        return SharedOverTwoModels(other=other, signed=signed)
    simple = {PerLabel.name: PerLabel, SharedOverLabels.name: SharedOverLabels}
    if name in simple:
        return simple[name](signed=signed)
    needs = {Absolute.name: "a limit", SharedOverTwoModels.name: "the explanation to compare with"}
    if name in needs:
        raise ValueError(f"the display policy {name!r} needs {needs[name]}")
    raise ValueError(
        f"no display policy is called {name!r}; there are {', '.join((*simple, *needs, PaperReluMax.name))}"
    )
