"""The paper's comparisons on phantoms, from seeds to a page: ``hirescam reproduce``."""

from training.evaluate.reproduce.needs import check_disk, needs, on_device
from training.evaluate.reproduce.plan import ENTRIES, SIZES, Size
from training.evaluate.reproduce.run import reproduce

__all__ = ["ENTRIES", "SIZES", "Size", "check_disk", "needs", "on_device", "reproduce"]
