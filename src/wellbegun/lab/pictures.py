"""Pictures: the library that reads them, and making them smaller without it."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import MissingExtraError


def require_pillow(purpose: str) -> ModuleType:
    """Return the module that reads picture files.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    if importlib.util.find_spec("PIL") is None:
        raise MissingExtraError("Pillow", "lab", purpose)
    from PIL import Image

    return Image


def reduced(pictures: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Return pictures made smaller by a whole factor: each pixel is the mean of a square.

    >>> reduced(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)

    Args:
        pictures: (n, channels, height, width), both sizes multiples of the factor.
        factor: how many times smaller.
    """
    n, channels, height, width = pictures.shape
    squares = pictures.reshape(n, channels, height // factor, factor, width // factor, factor)
    small: NDArray[np.float32] = squares.mean((3, 5), dtype=np.float32)
    return small
