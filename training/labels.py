"""The 80 abnormality labels of Table 5 with their regions; the table itself is ``data/labels.csv``."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from training.issues import InputError, Issue, error

Region = Literal["lung", "heart", "great vessel", "mediastinum"]
OrganGroup = Literal["lung", "mediastinum"]


@dataclass(frozen=True)
class Label:
    """One abnormality.

    ``name`` is the paper's spelling (Table 5) and the key everywhere; ``display`` is what a user reads. ``kind`` and
    ``extent`` group labels as the authors' evaluation does (biological or intervention; focal or diffuse).
    """

    name: str
    display: str
    region: Region
    kind: Literal["biological", "intervention"]
    extent: Literal["focal", "diffuse"]

    @property
    def organ_group(self) -> OrganGroup:
        """The segmentation that belongs to the label: lung, or mediastinum (heart and great vessels included)."""
        return "lung" if self.region == "lung" else "mediastinum"


@cache
def all_labels() -> tuple[Label, ...]:
    """Return the 80 labels: 51 of the lungs, then 29 of the mediastinum."""
    text = files("training.data").joinpath("labels.csv").read_text(encoding="utf-8")
    return tuple(Label(**row) for row in csv.DictReader(text.splitlines()))  # type: ignore[arg-type]


@cache
def _by_key() -> MappingProxyType[str, Label]:
    table = {_key(label.display): label for label in all_labels()}
    table.update({_key(label.name): label for label in all_labels()})
    return MappingProxyType(table)


def _key(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def find_label(name: str) -> Label:
    """Return the label called ``name``; case, hyphens and underscores do not matter, display names are understood.

    Raises
    ------
    KeyError
        If there is no such label.
    """
    try:
        return _by_key()[_key(name)]
    except KeyError:
        raise KeyError(f"no label is called {name!r}; `hirescam models --labels` lists the 80 names") from None


def is_known(name: str) -> bool:
    """Return True if ``name`` is one of the 80."""
    return _key(name) in _by_key()


def paper_name(name: str) -> str:
    """Return the paper's spelling of one of the 80 labels, other names as they are."""
    return find_label(name).name if is_known(name) else name


def label_names(labels: Iterable[Label] | None = None) -> tuple[str, ...]:
    """Return the names of ``labels``, all 80 by default."""
    return tuple(label.name for label in (all_labels() if labels is None else labels))


def display_name(name: str) -> str:
    """Return what a reader calls ``name``; a label that is not among the 80 keeps its own name."""
    return find_label(name).display if is_known(name) else name


def file_stem(name: str) -> str:
    """Return ``name`` as the stem of a file name that every system takes: letters, digits, ``_``, ``-`` and ``+``."""
    return re.sub(r"[^A-Za-z0-9+-]+", "_", name).strip("_") or "label"


def chosen_labels(names: Iterable[str], known: Sequence[str]) -> list[str]:
    """Return ``names`` as a model spells them that has the labels ``known``.

    The paper's names and the names that readers see are understood alike; case, hyphens and underscores do not matter.

    Raises
    ------
    InputError
        If the model lacks one; all that are missing are named, each with the nearest that the model has.
    """
    spelled = _spellings(known)
    wanted = list(names)
    missing = [name for name in wanted if _key(name) not in spelled]
    if missing:
        raise InputError(_no_label(name, spelled) for name in missing)
    return [name if name in known else spelled[_key(name)] for name in wanted]


def _spellings(known: Sequence[str]) -> dict[str, str]:
    """Return, by every key that means it, each label as the model spells it; its own spelling comes first."""
    spelled = {_key(name): name for name in known}
    for name in known:
        if is_known(name):
            label = find_label(name)
            spelled.setdefault(_key(label.name), name)
            spelled.setdefault(_key(label.display), name)
    return spelled


def _no_label(name: str, spelled: Mapping[str, str]) -> Issue:
    near = get_close_matches(_key(name), spelled, 1)
    hint = f"Did you mean {display_name(spelled[near[0]])!r}? " if near else ""
    way_out = f"{hint}`hirescam models --labels` lists all names; a model may know fewer."
    return error("no-such-label", f"the model has no label called {name!r}", way_out)
