from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.cohort.results import CohortStore
from training.evaluate.audit.pdf import table_lines
from training.evaluate.audit.report import findings
from training.evaluate.audit.session import Audit
from training.evaluate.audit.shortcut import MIN_CASES, AgainstEven, against_even

SUSPECT = "learnt from something else"


@pytest.mark.parametrize(
    ("times", "n", "words"),
    [
        (0.97, 5, AgainstEven.TOO_FEW),
        (0.01, MIN_CASES - 1, AgainstEven.TOO_FEW),
        (0.97, 200, AgainstEven.SAME),
        (1.03, 200, AgainstEven.SAME),
        (0.1, MIN_CASES, AgainstEven.LESS),
        (3.0, 30, AgainstEven.MORE),
    ],
)
def test_only_a_clear_difference_counts(times: float, n: int, words: AgainstEven) -> None:
    even = np.random.default_rng(0).uniform(0.04, 0.06, n)
    found = against_even(even * times, even)
    assert found.words is words
    assert found.ratio == pytest.approx(times)


def test_the_interval_covers_the_median_of_the_population() -> None:
    rng = np.random.default_rng(1)
    covered = [
        found.low <= 1 <= found.high
        for found in (against_even(np.exp(rng.normal(0, 1, 19)), np.ones(19)) for _ in range(400))
        if found.low is not None and found.high is not None
    ]
    assert len(covered) == 400
    assert np.mean(covered) >= 0.93


def test_what_has_no_evidence_or_no_room_is_left_out() -> None:
    found = against_even([np.nan, 0.0, 0.1], [0.1, 0.0, 0.1])
    assert (found.n, found.ratio) == (1, 1.0)
    assert against_even([np.nan], [0.1]).n == 0


def _row(words: AgainstEven, n: int, inside: float, even: float) -> dict[str, object]:
    ratio = inside / even
    return {
        "label": "nodule",
        **{"n_outside": n, "n_with_evidence": n, "outside": 1.0, "outside_low": 0.57, "outside_high": 1.0},
        **{"in_allowed": inside, "evenly_spread": even, "inside_against_even": words.value},
        **{"times_even": ratio, "times_even_low": ratio, "times_even_high": ratio},
    }


def test_evidence_spread_evenly_is_no_suspicion(store: CohortStore) -> None:
    summary = Audit(store).summary()
    rows = [_row(AgainstEven.SAME, 40, 0.0497, 0.0503), _row(AgainstEven.TOO_FEW, 5, 0.049, 0.0503)]
    said = " ".join(findings(replace(summary, suggestions=tuple(rows))))
    assert SUSPECT not in said
    assert (
        "1 abnormality has most of the evidence outside the allowed organ, but inside about as much as an even" in said
    )
    assert "in fewer than 10 predictions: too few to say more" in said
    said = " ".join(findings(replace(summary, suggestions=(_row(AgainstEven.LESS, 40, 0.0461, 0.0503),))))
    assert SUSPECT in said
    assert "the median share inside is 4.6 %, where spreading it evenly would put 5.0 % (median ratio 0.92" in said


def test_the_pdf_says_what_its_columns_are() -> None:
    rows = [{"label": "nodule", "wrong": 7, "wrong organ": 2, "outside the body": 1, "hardly any evidence": 0}]
    lines = table_lines(rows, tuple(rows[0]))
    heads = [" ".join(words.split()) for words in lines[:-1]]
    assert heads == ["outside the hardly any", "abnormality wrong wrong organ body evidence"]
    assert lines[-1].split() == ["nodule", "7", "2", "1", "0"]
