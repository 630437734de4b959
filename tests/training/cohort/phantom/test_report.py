"""Reports: what is planted can be read back from the text, and nothing else but what follows from it."""

from __future__ import annotations

import pytest

from training.cohort.phantom.build import plan_phantom
from training.cohort.phantom.report import NORMAL, write_report
from training.cohort.phantom.streams import stream
from training.partition.reports import label_report

IMPLIED = {"groundglass": {"lung opacity"}, "heart stent": {"coronary artery disease"}}


@pytest.mark.parametrize("seed", range(40))
def test_planted_labels_are_read_back(seed: int) -> None:
    _, planned = plan_phantom(seed)
    present = {label for item in planned for label in item.labels}
    text = write_report([item.sentence for item in planned], present, stream(seed, "report"))
    read = label_report(text)
    found = {label for label, value in read.values().items() if value}
    implied = set().union(*(IMPLIED.get(label, set()) for label in present))
    assert present <= found
    assert found <= present | implied
    for item in planned:
        if item.labels == ("lung mass",):
            assert item.side in read.sides("lung mass")


def test_wording_varies_by_seed() -> None:
    texts = {write_report([], set(), stream(seed, "report")) for seed in range(10)}
    assert len(texts) > 5
    assert all("no acute abnormality" in text.lower() for text in texts)


def test_normal_sentences_are_only_said_of_what_is_absent() -> None:
    everything = {label for labels, _ in NORMAL for label in labels}
    report = write_report(["There is a thing."], everything, stream(1, "report"))
    assert not any(sentence in report for _, sentences in NORMAL for sentence in sentences)
