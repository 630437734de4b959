"""A whole cohort evaluated from its store: predictions, organs, lesions, comparisons; ``hirescam evaluate``."""

from training.evaluate.cohort.run import EvaluateSettings, evaluate_stores

__all__ = ["EvaluateSettings", "evaluate_stores"]
