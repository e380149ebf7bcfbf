"""A task that no linear model can solve, drawn by wellbegun's own sampler: the same numbers on any machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wellbegun.lab.split import shuffled
from wellbegun.lab.task import SPLIT_SEED, Task
from wellbegun.laws import Normal
from wellbegun.targets import fill

INPUTS, CLASSES = 16, 4
TRAIN, VALIDATION, TEST = 8000, 1000, 2000


def load_quadratic() -> Task:
    """Return normal vectors whose class is the largest of four quadratic forms.

    x and -x have the same class, so a linear model, or any odd function, does no better than guessing.
    """
    count = TRAIN + VALIDATION + TEST
    points = _drawn("points", (count, INPUTS))
    forms = _drawn("forms", (CLASSES, INPUTS, INPUTS))
    forms = forms + forms.transpose(0, 2, 1)
    forms -= np.trace(forms, axis1=1, axis2=2)[:, None, None] * np.eye(INPUTS) / INPUTS  # all classes equally often
    labels = np.einsum("ni,kij,nj->nk", points, forms, points, optimize=True).argmax(1).astype(np.int64)
    description = (
        f"{count:,} normal vectors of {INPUTS} numbers, made by a rule: the class is the largest of {CLASSES} "
        f"quadratic forms, so x and -x are of one class and no linear model can tell them apart; {TRAIN:,} train, "
        f"{VALIDATION:,} choose the learning rate, {TEST:,} score"
    )
    parts = shuffled(points.astype(np.float32), labels, TRAIN, VALIDATION)
    source = "drawn by wellbegun's sampler; not real data"
    return Task("quadratic", description, source, "none needed", "classes", CLASSES, *parts)


def _drawn(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    values = np.empty(shape)
    fill(values, Normal(std=1.0), seed=SPLIT_SEED, name=f"quadratic/{name}")
    return values
