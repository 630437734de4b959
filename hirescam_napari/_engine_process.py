"""The process in which models run: ``python -m hirescam_napari._engine_process``, started by :mod:`._engine`.

Requests come as pickles on stdin, answers leave as pickles on stdout; it ends with its parent.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hirescam_napari._engine import Request
    from training.models import Model


def main() -> None:
    """Serve the parent; what libraries print goes to stderr, so that stdout carries messages only."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests with progress messages and one ``result``, ``refused`` or ``failed`` each, until the end."""
    from training.models import load_model  # noqa: F401 - slow: done before it is asked for

    models: dict[tuple[str, float], Model] = {}
    while True:
        try:
            request: Request = pickle.load(requests)  # noqa: S301 - from our own parent process
        except EOFError:
            return
        _send(answers, *_answer(request, models, answers))


def _answer(request: Request, models: dict[tuple[str, float], Model], answers: IO[bytes]) -> tuple[str, Any]:
    from training.explain import explain
    from training.issues import InputError

    def progress(done: int, total: int, stage: str) -> None:
        _send(answers, "progress", (done, total, stage))

    try:
        progress(0, 0, "loading the model")
        model = _model(models, request.model)
        return "result", explain(model, request.volume, request.device, request.precision, progress)  # type: ignore[arg-type]
    except InputError as refused:
        return "refused", refused.issues
    except Exception:  # noqa: BLE001 - told to the parent, which shows it
        return "failed", traceback.format_exc()


def _send(answers: IO[bytes], kind: str, content: Any) -> None:
    pickle.dump((kind, content), answers, protocol=5)
    answers.flush()


def _model(known: dict[tuple[str, float], Model], name: str) -> Model:
    """Return the model called ``name``; the last one is kept until its file changes."""
    from training.models import load_model

    path = Path(name)
    key = (name, path.stat().st_mtime if path.is_file() else 0.0)
    if key not in known:
        known.clear()
        known[key] = load_model(name)
    return known[key]


if __name__ == "__main__":
    main()
