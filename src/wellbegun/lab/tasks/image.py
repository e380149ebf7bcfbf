"""One real photograph as a field: from the place of a pixel to its grey value."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import MissingExtraError
from wellbegun.lab.pictures import reduced, require_pillow
from wellbegun.lab.split import shuffled
from wellbegun.lab.task import Task

SIDE, SHRINK = 128, 3


def load_image() -> Task:
    """Return the pixels of a photograph that comes with scikit-learn, each with its place from -1 to 1."""
    values = photograph() / 127.5 - 1
    down, right = np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 2, indexing="ij")
    places = np.stack([down.flatten(), right.flatten()], 1).astype(np.float32)
    pixels = len(places)
    description = (
        f"one real photograph of {SIDE}×{SIDE} grey values as a field, from the place of a pixel to its value: 80% of "
        "the pixels train, 10% choose the learning rate, 10% score"
    )
    parts = shuffled(places, values.reshape(-1, 1).astype(np.float32), int(0.8 * pixels), int(0.1 * pixels))
    source = "'china.jpg' by D. Buechele, with scikit-learn"
    return Task("image", description, source, "CC BY 2.0", "field", 1, *parts)


def photograph() -> NDArray[np.float32]:
    """Return the grey values, from 0 to 255."""
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtraError("scikit-learn", "lab", "the task 'image'")
    require_pillow("the task 'image'")
    from sklearn import datasets

    picture: Any = datasets.load_sample_image("china.jpg")
    grey = picture[: SIDE * SHRINK, : SIDE * SHRINK].mean(2)
    small: NDArray[np.float32] = reduced(grey[None, None], SHRINK)[0, 0]
    return small
