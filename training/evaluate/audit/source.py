"""The CT behind a stored case, read again where it is at hand; else words on where it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.cohort.results import CohortStore
from training.issues import InputError, Issue, Severity, warning
from training.volume import Volume


@dataclass(frozen=True, eq=False)
class SourceCT:
    """The CT of a case, or why there is none.

    ``issue`` says where it was looked for, or what is wrong with what is there; None if ``volume`` is the CT that was
    explained.
    """

    volume: Volume | None
    issue: Issue | None = None


def source_ct(store: CohortStore, case: str) -> SourceCT:
    """Read the CT of ``case`` as its cohort reads it. A CT that is missing or unusable is an issue, not an error."""
    try:
        found = store.source(case)
        if found.path is None or not Path(found.path).exists():
            return SourceCT(None, _missing(store, found.path))
        volume = store.volume(case)
    except InputError as refusal:
        first = refusal.issues[0]
        return SourceCT(None, Issue("ct-unusable", Severity.WARNING, first.message, first.way_out, first.file))
    if volume is None:
        return SourceCT(None, _missing(store, found.path))
    explained = store.details(case)["provenance"].get("pixels_sha256", "")
    if explained and explained != volume.provenance.pixels_sha256:
        fact = f"The CT at {found.path} is another one than was explained, so it is not shown"
        return SourceCT(None, warning("other-ct", fact, "Bring back the CT of this case."))
    return SourceCT(volume)


def _missing(store: CohortStore, path: str | None) -> Issue:
    if path is not None:
        where = f"It is looked for at {path}"
    elif store.origin.data is not None:
        where = f"Its cohort is looked for at {store.origin.data}, where it lay as seen from the store"
    else:
        where = "The store does not say where it was"
    fact = f"The CT is not at hand. {where}. Maps, plots and organ masks are shown without it"
    return warning("no-ct", fact, "Bring the cohort back to that place, and open the case again.")
