"""The labeler's vocabulary: abnormality terms, location terms and context triggers, from TOML files."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from training.io.regular import check_not_special
from training.issues import InputError, error
from training.partition.reports.context import TRIGGER_KINDS, ContextRules
from training.partition.reports.patterns import PatternIndex, parse

_SYSTEMS = frozenset({"lung", "heart", "generic"})
_GROUPS = frozenset({"lung", "heart", "great_vessel", "mediastinum", "other"})
_GROUP_FIELDS = {"abnormalities": ("system", _SYSTEMS), "locations": ("group", _GROUPS)}


_LISTS = ("any", "not", "both", "implies")


@dataclass(frozen=True)
class Term:
    """One abnormality or location with its patterns."""

    key: str
    group: str
    any: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    both: tuple[str, ...] = ()
    implies: tuple[str, ...] = ()
    fine: bool = False
    becomes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Vocabulary:
    """Everything the labeler knows of words. Build it with :func:`load_vocabulary`."""

    abnormalities: Mapping[str, Term]
    locations: Mapping[str, Term]
    abnormality_index: PatternIndex
    location_index: PatternIndex
    context: ContextRules

    @property
    def abnormality_keys(self) -> tuple[str, ...]:
        """RAD-ChestCT's abnormality names, finer terms left out."""
        return tuple(k for k, t in self.abnormalities.items() if not t.fine)

    @property
    def location_keys(self) -> tuple[str, ...]:
        """RAD-ChestCT's location names, finer terms left out."""
        return tuple(k for k, t in self.locations.items() if not t.fine)


RULES = 3
"""Raised whenever the rules beside the vocabulary come to other labels for the same words."""


def rules_sha256(extra: Sequence[Path] = ()) -> str:
    """Return a digest of all that decides the labels of a text: the shipped TOML files, ``extra`` ones, the rules."""
    tables = (item for item in files("training.partition.data").iterdir() if item.name.endswith(".toml"))
    digest = hashlib.sha256(f"rules {RULES}".encode())
    for table in (*sorted(tables, key=lambda item: item.name), *extra):
        digest.update(hashlib.sha256(table.read_bytes()).digest())
    return digest.hexdigest()


def load_vocabulary(extra: Sequence[Path] = ()) -> Vocabulary:
    """Return the shipped vocabulary, extended by the user's TOML files.

    A user's file has tables ``[abnormalities.NAME]``, ``[locations.NAME]`` and ``[context]`` in the form of the shipped
    files; lists are added to, new names are new terms.

    Raises
    ------
    InputError
        If a file cannot be read, or a table in it cannot be understood; the message names the file and the table.
    """
    return _shipped() if not extra else _build(*_merged(extra))


@cache
def _shipped() -> Vocabulary:
    return _build(*_shipped_tables())


def _shipped_tables() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    folder = files("training.partition.data")
    names = ("abnormalities.toml", "locations.toml", "context.toml")
    a, b, c = (tomllib.loads(folder.joinpath(n).read_text(encoding="utf-8")) for n in names)
    return a, b, c


def _merged(extra: Sequence[Path]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    tables = _shipped_tables()
    for path in extra:
        own = _read_user_file(path)
        for table, name in zip(tables, ("abnormalities", "locations", "context"), strict=True):
            _extend(table, own.get(name, {}), path, name)
    return tables


def _read_user_file(path: Path) -> dict[str, Any]:
    try:
        check_not_special(path)
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise InputError(
            error(
                "vocabulary-unreadable",
                f"not a readable TOML file ({problem}).",
                "Mend or leave out the file.",
                path.name,
            )
        ) from problem
    unknown = set(data) - {"abnormalities", "locations", "context"}
    if unknown:
        raise InputError(
            error(
                "vocabulary-unknown-table",
                f"unknown tables: {', '.join(sorted(unknown))}.",
                "Tables begin with [abnormalities.NAME], [locations.NAME] or [context].",
                path.name,
            )
        )
    for name, table in data.items():
        if not isinstance(table, dict):
            fact, way_out = f"{name} is not a table.", f"Write [{name}.NAME] or [{name}], and its lines below."
            raise InputError(error("vocabulary-not-a-table", fact, way_out, path.name))
    return data


def _extend(base: dict[str, Any], own: dict[str, Any], path: Path, where: str) -> None:
    for key, value in own.items():
        if where == "context":
            _check_kind(key, path)
            base[key] = [*base.get(key, []), *_strings(value, path, f"{where}.{key}")]
            continue
        if not isinstance(value, dict):
            fact, way_out = f"{where}.{key} is not a table.", f"Write [{where}.{key}] and its lists below."
            raise InputError(error("vocabulary-not-a-table", fact, way_out, path.name))
        _check_fields(where, key, value, path)
        term = base.setdefault(key, {name: one for name, one in value.items() if not _is_list(name)})
        _check_group(where, key, term, path)
        for name in filter(_is_list, value):
            term[name] = [*term.get(name, []), *_strings(value[name], path, f"{where}.{key}.{name}")]


def _check_fields(where: str, key: str, table: Mapping[str, Any], path: Path) -> None:
    known = (_GROUP_FIELDS[where][0], *_LISTS, "fine", "becomes")
    unknown = [name for name in table if name not in known]
    if unknown:
        fact = f"[{where}.{key}] has unknown entries: {', '.join(map(repr, unknown))}."
        way_out = f"Use some of {', '.join(known)}."
        raise InputError(error("vocabulary-unknown-entry", fact, way_out, path.name))


def _is_list(name: str) -> bool:
    return name in _LISTS


def _check_group(where: str, key: str, term: Mapping[str, Any], path: Path) -> None:
    field_name, groups = _GROUP_FIELDS[where]
    if term.get(field_name) not in groups:
        fact = f"[{where}.{key}] needs {field_name} = one of {', '.join(sorted(groups))}."
        raise InputError(error("vocabulary-bad-term", fact, "Add that line.", path.name))


def _check_kind(key: str, path: Path) -> None:
    if key not in TRIGGER_KINDS:
        way_out = f"Use one of {sorted(TRIGGER_KINDS)}."
        raise InputError(error("vocabulary-unknown-trigger", f"unknown trigger list {key!r}.", way_out, path.name))


def _strings(value: Any, path: Path, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise InputError(
            error("vocabulary-not-a-list", f"{where} is not a list of strings.", 'Write ["..."].', path.name)
        )
    for pattern in () if where.endswith(".implies") else value:  # these are names of terms
        try:
            parse(pattern)
        except ValueError as problem:
            way_out = (
                "A pattern is made of words of letters (or numbers): `nodul*` is a beginning, `mass|tumor` one of two, "
                "and ... stands for any words between two."
            )
            raise InputError(error("vocabulary-bad-pattern", f"{where}: {problem}.", way_out, path.name)) from problem
    return list(value)


def _term(key: str, table: dict[str, Any], group_field: str) -> Term:
    return Term(
        key,
        table[group_field],
        tuple(table.get("any", ())),
        tuple(table.get("not", ())),
        tuple(table.get("both", ())),
        tuple(table.get("implies", ())),
        bool(table.get("fine", False)),
        dict(table.get("becomes", {})),
    )


def _build(abnormalities: dict[str, Any], locations: dict[str, Any], context: dict[str, Any]) -> Vocabulary:
    found = {k: _term(k, t, "system") for k, t in abnormalities.items()}
    places = {k: _term(k, t, "group") for k, t in locations.items()}
    return Vocabulary(found, places, _index(found), _index(places), ContextRules(context))


def _index(terms: Mapping[str, Term]) -> PatternIndex:
    """Patterns under their own key; look-alikes under ``!key``."""
    patterns = {k: (*t.any, *t.both) for k, t in terms.items()}
    patterns.update({f"!{k}": t.exclude for k, t in terms.items()})
    return PatternIndex(patterns)
