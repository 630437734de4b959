"""Metrics, OrganIoU, pointing error and comparisons over sets of cases."""

# Not on demand, as elsewhere: the module of the same name would take the function's place once it is imported. It needs
# numpy only.
from training.evaluate.organ_iou import organ_iou

__all__ = ["organ_iou"]
