"""What is wrong with an input, in words: one typed issue per fact, and the error that carries them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How an issue is handled."""

    ERROR = "error"
    """The input is refused."""
    WARNING = "warning"
    """The input is used; the user is told."""
    NOTE = "note"
    """A fact that is worth recording, such as a repair that was asked for."""


@dataclass(frozen=True)
class Issue:
    """One fact about an input.

    Parameters
    ----------
    code
        Stable machine name in kebab case, for example ``"missing-slice"``.
    severity
        Error, warning or note.
    message
        The fact in plain language, with numbers and units.
    way_out
        What the user can do about it; empty for notes.
    file
        The base name of the file the fact is about, if there is one. Never a full path: paths may hold names.
    repairable
        True if reading again with ``repair=True`` would mend this.
    """

    code: str
    severity: Severity
    message: str
    way_out: str = ""
    file: str | None = None
    repairable: bool = False

    def __str__(self) -> str:
        where = f"{self.file}: " if self.file else ""
        stop = "" if self.message.endswith((".", "!", "?")) else "."
        out = f" {self.way_out}" if self.way_out else ""
        return f"{self.severity}: {where}{self.message}{stop}{out}"

    def to_dict(self) -> dict[str, object]:
        """Return the issue as plain JSON types."""
        return {**asdict(self), "severity": str(self.severity)}


def error(code: str, message: str, way_out: str = "", file: str | None = None, repairable: bool = False) -> Issue:
    """Return an issue of severity error."""
    return Issue(code, Severity.ERROR, message, way_out, file, repairable)


def warning(code: str, message: str, way_out: str = "", file: str | None = None) -> Issue:
    """Return an issue of severity warning."""
    return Issue(code, Severity.WARNING, message, way_out, file)


def note(code: str, message: str, file: str | None = None) -> Issue:
    """Return an issue of severity note."""
    return Issue(code, Severity.NOTE, message, "", file)


class InputError(Exception):
    """An input was refused. ``issues`` holds every reason, errors first.

    The text is one line per issue, so that ``str(error)`` can be shown to a user as it is.
    """

    def __init__(self, issues: Issue | Iterable[Issue]) -> None:
        found = (issues,) if isinstance(issues, Issue) else tuple(issues)
        self.issues: tuple[Issue, ...] = tuple(sorted(found, key=lambda i: i.severity is not Severity.ERROR))
        super().__init__("\n".join(str(i) for i in self.issues))


class Cancelled(Exception):  # noqa: N818 - a decision of the user, not an error
    """Long work stopped because the user asked for it; nothing was written."""
