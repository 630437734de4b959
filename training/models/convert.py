"""``python -m training.models.convert IN OUT``: weights under the authors' key names to a checkpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training.issues import InputError
from training.models.checkpoint import save_checkpoint
from training.models.weights import load_authors_state_dict


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert; return 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m training.models.convert", description=__doc__)
    parser.add_argument(
        "source", type=Path, metavar="IN", help="state dict, .pth or .safetensors; read as tensors only"
    )
    parser.add_argument("target", type=Path, metavar="OUT", help="checkpoint to write (.safetensors)")
    parser.add_argument("--labels", type=Path, help="text file, one label a line, in the outputs' order (default: 80)")
    options = parser.parse_args(arguments)
    try:
        labels = options.labels.read_text(encoding="utf-8").split("\n") if options.labels else None
        names = [line.strip() for line in labels if line.strip()] if labels else None
        digest = save_checkpoint(options.target, load_authors_state_dict(options.source, names))
    except (InputError, OSError) as reason:
        print(reason, file=sys.stderr)
        return 1
    print(f"{options.target.name}: SHA-256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
