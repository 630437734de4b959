"""Explanations: the formulas, the result, how maps are displayed, and the explainer that runs a model.

Only the explainer needs torch; it is imported when :func:`explain` is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.explain.result import METHODS, Explanation, Method, ModelInfo

if TYPE_CHECKING:
    from training.explain.explainer import explain

__all__ = ["METHODS", "Explanation", "Method", "ModelInfo", "explain"]


def __getattr__(name: str) -> object:
    if name == "explain":
        from training.explain.explainer import explain

        return explain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
