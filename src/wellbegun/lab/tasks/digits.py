"""Handwritten digits that come with scikit-learn: the task that is always there."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import MissingExtraError
from wellbegun.lab.split import shuffled, standardised
from wellbegun.lab.task import Task

TRAIN, VALIDATION = 1000, 400

_DESCRIPTION = (
    "1,797 real handwritten digits, 8×8 grey values: 1,000 to train, 400 to choose the learning rate, 397 to score "
    "(UCI Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, 1998, CC BY 4.0, as shipped with "
    "scikit-learn)"
)
_SOURCE = "UCI Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, 1998; with scikit-learn"
_LICENCE = "CC BY 4.0"


def load_digits() -> Task:
    """Return the digits as vectors, each pixel by itself with mean 0 and deviation 1."""
    pixels, labels = _read("the task 'digits'")
    parts = standardised(shuffled(pixels, labels, TRAIN, VALIDATION), by_column=True)
    return Task("digits", _DESCRIPTION, _SOURCE, _LICENCE, "classes", 10, *parts, names=tuple("0123456789"))


def load_digit_images() -> Task:
    """Return the same digits as images, in the same split: one mean and deviation for all pixels."""
    pixels, labels = _read("the task 'digits-images'")
    parts = standardised(shuffled(pixels.reshape(-1, 1, 8, 8), labels, TRAIN, VALIDATION))
    return Task("digits-images", _DESCRIPTION, _SOURCE, _LICENCE, "classes", 10, *parts, names=tuple("0123456789"))


def _read(purpose: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtraError("scikit-learn", "lab", purpose)
    from sklearn import datasets

    data: Any = datasets.load_digits()
    return data.data.astype(np.float64), data.target.astype(np.int64)
