"""Cases in parallel: results, failures that stop nothing, cancelling, an absent scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from training.cohort.jobs import cluster, run_jobs
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


def test_an_absent_scheduler_is_an_error_with_a_way_out() -> None:
    with pytest.raises(InputError) as refusal, cluster(scheduler="tcp://127.0.0.1:9"):
        pass
    assert refusal.value.issues[0].code == "no-scheduler"
    assert "--scheduler" in refusal.value.issues[0].way_out
