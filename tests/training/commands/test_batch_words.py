"""What ``batch`` says of sizes and of cases that were done before."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from training.cohort.batch import Batch, Outcome
from training.commands.batch import _print_outcome, _total


def test_small_stores_have_sizes_too() -> None:
    assert _total([2.3e6, 4.1e6]) == "2.3 to 4.1 MB"
    assert _total([0.8e8, 2e8]) == "80.0 to 200.0 MB"
    assert _total([2.13e9, 3.42e9]) == "2.13 to 3.42 GB"


@pytest.mark.parametrize(("before", "verify", "told"), [(12, False, True), (12, True, False), (0, False, False)])
def test_verify_is_named_where_cases_were_done_before(
    before: int, verify: bool, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _print_outcome(Outcome(12, before, 12 - before), cast(Batch, None), tmp_path, False, verify)
    assert ("--verify reads all of them" in capsys.readouterr().err) is told
