from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hirescam_napari._engine import Engine, EngineError, Request
from training.explain import explain
from training.geometry import Geometry
from training.issues import Cancelled, InputError
from training.models import load_model
from training.volume import Volume


@pytest.fixture
def ct() -> Volume:
    geometry = Geometry.canonical((24, 32, 32), (6.0, 10.0, 10.0))
    return Volume(np.random.default_rng(0).integers(-1000, 300, geometry.shape).astype(np.int16), geometry)


def silent(_done: int, _total: int, _stage: str) -> None: ...


def test_the_process_gives_what_the_library_gives(engine: Engine, ct: Volume, tiny_model: Path) -> None:
    stages: list[str] = []
    found = engine.explain(
        Request(ct, str(tiny_model), "cpu"), lambda _done, _total, stage: stages.append(stage), lambda: False
    )
    expected = explain(load_model(tiny_model), ct, device="cpu")
    assert found.scores == pytest.approx(expected.scores, abs=1e-5)
    assert found.map("lung nodule") == pytest.approx(expected.map("lung nodule"), abs=1e-6)
    assert {"preprocess", "trunk", "maps"} <= set(stages)


def test_a_refused_model_arrives_with_its_issues_and_the_process_lives(engine: Engine, ct: Volume) -> None:
    with pytest.raises(InputError) as refused:
        engine.explain(Request(ct, "no such model"), silent, lambda: False)
    assert refused.value.issues[0].code == "model-unknown"
    assert engine.running


def test_a_defect_is_told_with_its_traceback(engine: Engine, ct: Volume, tiny_model: Path) -> None:
    with pytest.raises(EngineError, match="Traceback"):
        engine.explain(Request(None, str(tiny_model)), silent, lambda: False)  # type: ignore[arg-type]


def test_cancelling_ends_the_process_within_a_second(ct: Volume, tiny_model: Path) -> None:
    own, stop = Engine(), threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Cancelled):
        own.explain(Request(ct, str(tiny_model)), silent, stop.is_set)
    assert not own.running


def test_stopping_from_outside_is_noticed(ct: Volume, tiny_model: Path) -> None:
    own = Engine()
    threading.Timer(0.2, own.stop).start()
    with pytest.raises(EngineError, match="ended"):
        own.explain(Request(ct, str(tiny_model)), silent, lambda: False)
    assert not own.running


def test_starting_twice_keeps_one_process() -> None:
    own = Engine()
    own.start()
    first = own._process
    own.start()
    assert own._process is first
    own.stop()
    own.stop()
    assert not own.running
    assert first is not None
    assert first.poll() is not None
    time.sleep(0)
