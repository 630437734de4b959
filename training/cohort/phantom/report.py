"""A radiology report that says what a phantom holds, and what it does not.

A labeler of reports finds every planted label in it. It may add what follows from the words: an opacity from ground
glass, coronary artery disease from a coronary stent.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

NORMAL: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("pleural effusion",), ("No pleural effusion.", "There is no pleural effusion.")),
    (("pneumothorax",), ("No pneumothorax.", "There is no evidence of pneumothorax.")),
    (("pericardial effusion",), ("No pericardial effusion.", "There is no pericardial effusion.")),
    (("cardiomegaly",), ("The heart is normal in size.", "Heart size is normal.")),
    (("mediastinum lymphadenopathy",), ("No mediastinal lymphadenopathy.", "No enlarged mediastinal lymph nodes.")),
    (("consolidation",), ("No focal consolidation.", "The lungs are without consolidation.")),
    (("lung nodule", "lung mass"), ("No suspicious pulmonary nodules or masses.", "No pulmonary nodule or mass.")),
    (("emphysema",), ("No emphysema.",)),
    (("bronchiectasis",), ("No bronchiectasis.", "The airways are patent.")),
    (("coronary artery disease",), ("No coronary artery calcification.",)),
    (("great vessel calcification",), ("The thoracic aorta is normal in caliber.",)),
)
"""For labels that are all absent: sentences that say so."""

WITH_CONTRAST = ("CT of the chest with intravenous contrast.", "Contrast enhanced chest CT.")
WITHOUT_CONTRAST = ("CT of the chest without intravenous contrast.", "Noncontrast chest CT.")
CLOSING = ("The visualized upper abdomen is unremarkable.", "Visualized osseous structures are unremarkable.", "")


def write_report(
    sentences: Sequence[str], present: Collection[str], rng: np.random.Generator, contrast: bool = False
) -> str:
    """Return a report: technique, the planted ``sentences`` among some normal ones, and an impression.

    ``present`` are the labels that are planted; nothing is denied that is present.
    """
    technique = (WITH_CONTRAST if contrast else WITHOUT_CONTRAST)[int(rng.integers(2))]
    normal = [
        texts[int(rng.integers(len(texts)))]
        for labels, texts in NORMAL
        if not set(labels) & set(present) and rng.random() < 0.6
    ]
    body = [*sentences, *normal]
    body = [body[i] for i in rng.permutation(len(body))]
    closing = CLOSING[int(rng.integers(len(CLOSING)))]
    impression = " ".join(sentences[:3]) if sentences else "No acute abnormality of the chest."
    findings = " ".join(text for text in (*body, closing) if text)
    return f"TECHNIQUE: {technique}\nFINDINGS: {findings}\nIMPRESSION: {impression}"
