"""Small colour photographs of ten kinds of things, and of cats against dogs alone."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.lab.data import DataSet, find_set
from wellbegun.lab.pictures import require_pillow
from wellbegun.lab.split import published, standardised
from wellbegun.lab.task import Task

CLASSES = ("aeroplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "lorry")

_Pictures = tuple[NDArray[np.uint8], NDArray[np.int64]]


def load_cifar10() -> Task:
    """Return CIFAR-10, with its published test images."""
    data = find_set("cifar10")
    description = (
        "60,000 real colour photographs of ten kinds of things, 32×32: 45,000 to train, 5,000 to choose the learning "
        "rate, and the 10,000 that were published to score"
    )
    parts = standardised(published(*_read(data, "the task 'cifar10'"), validation=5000))
    return Task("cifar10", description, data.source, data.licence, "classes", 10, *parts, names=CLASSES)


def load_cats_dogs() -> Task:
    """Return the cats and dogs of CIFAR-10."""
    data = find_set("cifar10")
    train, test = (_only(pictures, ("cat", "dog")) for pictures in _read(data, "the task 'cats-dogs'"))
    description = (
        "12,000 real colour photographs of cats and dogs, 32×32, from CIFAR-10: 9,000 to train, 1,000 to choose the "
        "learning rate, and the 2,000 that were published to score"
    )
    parts = standardised(published(train, test, validation=1000))
    return Task("cats-dogs", description, data.source, data.licence, "classes", 2, *parts, names=("cat", "dog"))


def _only(pictures: _Pictures, classes: tuple[str, ...]) -> _Pictures:
    """Keep some classes, and number them anew."""
    images, labels = pictures
    numbers = [CLASSES.index(name) for name in classes]
    kept = np.isin(labels, numbers)
    return images[kept], np.searchsorted(numbers, labels[kept]).astype(np.int64)


def _read(data: DataSet, purpose: str) -> tuple[_Pictures, _Pictures]:
    """Return training and test pictures: each is a row of 1,024 pixels of a large PNG file."""
    image_module = require_pillow(purpose)
    batches = [f"package/data_batch_{i}.png" for i in range(1, 6)]
    labels = ["package/train_lables.json", "package/test_lables.json"]  # spelled so
    *pictures, train_labels, test_labels = data.read([*batches, "package/test_batch.png", *labels])

    def decoded(content: bytes) -> NDArray[Any]:
        with image_module.open(io.BytesIO(content)) as picture:
            rows = np.asarray(picture.convert("RGB"))
        return rows.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)

    train = np.concatenate([decoded(content) for content in pictures[:5]])
    numbers = [np.array(json.loads(content), np.int64) for content in (train_labels, test_labels)]
    return (train, numbers[0]), (decoded(pictures[5]), numbers[1])
