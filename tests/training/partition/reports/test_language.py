"""A report in another language is noticed; a terse English one is not."""

from __future__ import annotations

import pytest

from training.partition.reports.language import seems_foreign


@pytest.mark.parametrize(
    "text",
    [
        "Nodule de 8 mm dans le lobe supérieur droit. Pas d'épanchement pleural. Le coeur est de taille normale.",
        "Rundherd im rechten Oberlappen, kein Pleuraerguss. Das Herz ist nicht vergrößert und die Lunge ist frei.",
        "Nódulo en el lóbulo superior derecho. El corazón es de tamaño normal, sin derrame pleural.",
        "Kalp ve mediasten normal olup kitle izlenmedi. Trakea ve her iki akciğer normal izlendi.",
    ],
)
def test_other_languages(text: str) -> None:
    assert seems_foreign(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Spiculated mass LUL, 3.2 cm. No effusion. Degenerative spine.",
        "Port-a-cath via de la Cruz technique. There is a nodule in the right lung and no effusion with the mass.",
        "RLL nodule 7 mm, vs. scar. A. e. graft patent.",
    ],
)
def test_english(text: str) -> None:
    assert not seems_foreign(text)
