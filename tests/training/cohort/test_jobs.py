"""Cases in parallel: results, failures that stop nothing, cancelling, an absent scheduler."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from distributed.client import FutureCancelledError

from training.cohort.jobs import _answer, cluster, default_workers, run_here, run_jobs, worker_number
from training.issues import Cancelled, InputError, error

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with cluster(workers=1) as made:
        yield made


def _half(value: int) -> float:
    if value == 3:
        raise InputError(error("bad-case", "three is refused"))
    return 1 / (value - 5) if value == 5 else value / 2


def test_every_case_comes_back_and_failures_stop_nothing(client: Any) -> None:
    done = {one.item: one for one in run_jobs(_half, range(12), client)}
    assert sorted(done) == list(range(12))
    assert done[4].result == 2.0
    assert done[3].result is None
    assert "three is refused" in (done[3].failure or "")
    assert (done[5].failure or "").startswith("ZeroDivisionError")


def test_cancelling_stops_handing_out(client: Any) -> None:
    seen: list[int] = []
    results = run_jobs(_half, range(1000), client, cancelled=lambda: len(seen) >= 2)
    with pytest.raises(Cancelled):
        seen.extend(one.item for one in results)
    assert 2 <= len(seen) < 20


def _deadly(value: int) -> int:
    if value == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_case_that_kills_its_worker_is_a_failure(client: Any) -> None:
    done = {one.item: one for one in run_jobs(_deadly, range(3), client)}
    assert sorted(done) == [0, 1, 2]
    assert "killed" in (done[1].failure or "")
    assert all(one.result == one.item or "killed" in (one.failure or "") for one in done.values())


def test_in_this_process_it_is_the_same(client: Any) -> None:
    here = {one.item: (one.result, one.failure) for one in run_here(_half, range(6))}
    assert here == {one.item: (one.result, one.failure) for one in run_jobs(_half, range(6), client)}
    with pytest.raises(Cancelled):
        list(run_here(_half, range(6), cancelled=lambda: True))


def test_one_process_for_each_gpu_else_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert default_workers("auto") == default_workers("cuda") == 3
    assert 1 <= default_workers("cpu") <= (os.cpu_count() or 1)
    assert worker_number() == 0


def test_local_workers_are_numbered(client: Any) -> None:
    assert client.submit(worker_number).result() == 0


def test_an_absent_scheduler_is_an_error_with_a_way_out() -> None:
    with pytest.raises(InputError) as refusal, cluster(scheduler="tcp://127.0.0.1:9"):
        pass
    assert refusal.value.issues[0].code == "no-scheduler"
    assert "--scheduler" in refusal.value.issues[0].way_out


def test_a_scheduler_that_is_gone_is_an_error_with_a_way_out() -> None:
    class Lost:
        def result(self) -> None:
            raise FutureCancelledError("key", "scheduler-connection-lost")

    with pytest.raises(InputError, match="connection to the dask scheduler was lost"):
        _answer(Lost())
