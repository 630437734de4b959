"""What the paper compares in figures 1, 5, 11 and 14: methods, models, placements of a case, and cases of a cohort."""

from training.evaluate.compare.cohort import (
    DEFAULT_THRESHOLD,
    WHICH,
    Which,
    cohort_disagreements,
    pairs_of,
)
from training.evaluate.compare.methods import (
    DIFFERENCE_WORDS,
    DISAGREEMENT_WORDS,
    Disagreement,
    MassShares,
    SidesOf,
    disagreement_rows,
    method_difference,
    method_disagreements,
    no_sides,
)
from training.evaluate.compare.models import (
    ModelPair,
    budget_of_label,
    check_comparable,
    compare_models,
)
from training.evaluate.compare.placements import (
    placement_shift_mm,
    shift_words,
)
from training.evaluate.compare.sheet import (
    Order,
    SheetEntry,
    sheet_entries,
)

__all__ = [
    "DEFAULT_THRESHOLD",
    "DIFFERENCE_WORDS",
    "DISAGREEMENT_WORDS",
    "WHICH",
    "Disagreement",
    "MassShares",
    "ModelPair",
    "Order",
    "SheetEntry",
    "SidesOf",
    "Which",
    "budget_of_label",
    "check_comparable",
    "cohort_disagreements",
    "compare_models",
    "disagreement_rows",
    "method_difference",
    "method_disagreements",
    "no_sides",
    "pairs_of",
    "placement_shift_mm",
    "sheet_entries",
    "shift_words",
]
