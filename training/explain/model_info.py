"""What a result has to say about the model that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Self


@dataclass(frozen=True)
class ModelInfo:
    """What a result has to say about the model it came from; plain JSON types throughout.

    ``guarantee`` is the head's kind (machine name), ``guarantee_words`` the same for readers in one sentence,
    ``guarantee_details`` with its reasons, and ``guarantee_holds`` whether HiResCAM's books must balance:
    sum(map) + bias = score. ``has_maps`` is False where Z belongs to no place in the CT (CTNet); ``map_variant`` names
    the variant of the maps, see :data:`training.explain.explainer.MapVariant`.
    """

    name: str
    sha256: str
    architecture: str
    guarantee: str
    guarantee_words: str
    guarantee_holds: bool
    guarantee_details: str = ""
    has_maps: bool = True
    map_variant: str = "own"
    mean_probability: Mapping[str, float] = field(default_factory=dict)
    threshold: Mapping[str, float] = field(default_factory=dict)
    input_spec: Mapping[str, object] = field(default_factory=dict)
    training: Mapping[str, object] = field(default_factory=dict)
    licence: str = ""
    evaluation: Mapping[str, object] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Inverse of :meth:`to_dict`; names it does not know are left out."""
        known = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in data.items() if k in known})  # type: ignore[arg-type]
