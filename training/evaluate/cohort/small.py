"""What a cohort is too small for, and what to do about it, in sentences for the page."""

from __future__ import annotations

import numpy as np

from training.evaluate.bands import MIN_CASES
from training.evaluate.classification import Classification
from training.words import agreed, counted


def small_cohort_notes(found: Classification, n_in_store: int) -> tuple[str, ...]:
    """Return notes on labels without a number, or with too few cases to believe an interval; none if all is well.

    Parameters
    ----------
    n_in_store
        Cases that could have been judged; where that is more, the way to judge them all is named.
    """
    absent = len(found.not_applicable)
    sides = np.minimum(found.n_positive, found.n_cases - found.n_positive)
    few = int(((sides > 0) & (sides < MIN_CASES)).sum())
    if not absent and not few:
        return ()
    said = []
    if absent:
        has = agreed(absent, "is", "are")
        said.append(
            f"{counted(absent, 'label')} of {len(found.labels)} {has} n/a: no judged case has the finding, or all have"
        )
    if few:
        has = agreed(few, "has", "have")
        side = f"fewer than {MIN_CASES} positive or negative cases"
        said.append(f"{counted(few, 'label')} {has} {side}, too few for the interval to be believed")
    more = f" --on all judges all {n_in_store} cases of the store." if n_in_store > found.n_cases else ""
    return (f"{'; '.join(said)}.{more}",)
