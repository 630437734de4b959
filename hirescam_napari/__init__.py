"""HiResCAM in napari: open a chest CT, explain it, click through the abnormalities."""
