"""The paper's comparisons on phantoms, from seeds to a page: ``hirescam reproduce``."""

from training.evaluate.reproduce.plan import SIZES, Size
from training.evaluate.reproduce.run import reproduce

__all__ = ["SIZES", "Size", "reproduce"]
