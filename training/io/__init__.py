"""Reading chest CTs from any usual format, and writing results."""

from training.io.read import list_series, read_ct
from training.io.series import SeriesChoiceNeeded, SeriesInfo

__all__ = ["SeriesChoiceNeeded", "SeriesInfo", "list_series", "read_ct"]
