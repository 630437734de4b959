"""Who gets which cases, and reading ahead: in order, with reasons, and counted where it is waited for."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from training.fit.feed import Pass, fed, passes_of


def test_one_process_gets_all_passes_in_order() -> None:
    assert passes_of((5, 3, 8), 2) == (Pass((5, 3)), Pass((8,)))


@pytest.mark.parametrize("n", range(1, 14))
@pytest.mark.parametrize(("size", "processes"), [(1, 2), (2, 3), (3, 2)])
def test_every_case_is_counted_once_and_all_processes_take_as_many_passes(n: int, size: int, processes: int) -> None:
    cases = tuple(range(100, 100 + n))
    dealt = [passes_of(cases, size, process, processes) for process in range(processes)]
    assert len({len(own) for own in dealt}) == 1
    assert sorted(case for own in dealt for one in own if one.counted for case in one.cases) == list(cases)
    assert all(one.counted for one in dealt[0])
    assert all(set(one.cases) <= set(cases) for own in dealt for one in own)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_order_whichever_is_ready_first(workers: int) -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * item

    with closing(fed(work, list(range(20)), workers)) as feed:
        results = list(feed)
    assert [value for value, _ in results] == [item * item for item in range(20)]
    assert all(seconds >= 0 for _, seconds in results)


def test_what_is_read_ahead_is_not_waited_for() -> None:
    ready = threading.Event()

    def work(item: int) -> int:
        if item == 3:
            ready.set()
        return item

    with closing(fed(work, [1, 2, 3], 2)) as feed:
        assert next(feed)[0] == 1
        assert ready.wait(10)
    slow = [seconds for _, seconds in fed(lambda _: time.sleep(0.02), [1, 2], 0)]
    assert min(slow) >= 0.02


def test_a_failure_is_told_and_nothing_is_read_after_the_end() -> None:
    seen: list[int] = []

    def work(item: int) -> int:
        seen.append(item)
        if item == 1:
            raise ValueError("case 1 is damaged")
        return item

    with closing(fed(work, list(range(100)), 2)) as feed:
        assert next(feed)[0] == 0
        with pytest.raises(ValueError, match="case 1 is damaged"):
            next(feed)
    assert len(seen) < 20
