"""Read chest CTs, run AxialNet and its relatives, and explain every score; no window, no napari."""

__version__ = "0.1.0.dev0"
