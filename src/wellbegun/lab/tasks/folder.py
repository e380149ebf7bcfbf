"""A folder of the user's own pictures: FOLDER/class/file.png."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.lab.pictures import require_pillow
from wellbegun.lab.split import standardised
from wellbegun.lab.task import SPLIT_SEED, Split, Task

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")

LARGEST, SIDE = 64, 32
"""Pictures of one size up to the first stay as they are; all others become squares of the second."""

TRAIN, VALIDATION, FEWEST = 0.7, 0.15, 5
"""Shares of each class, and the fewest pictures of a class that can be split."""


def load_folder(folder: str | Path, *, side: int | None = None) -> Task:
    """Return the pictures of a folder as a task: the names of the folders in it are the classes.

    Args:
        folder: has a folder for each class, with pictures in it.
        side: make each picture a square of this many pixels. By default pictures of one size up to 64×64 stay as they
            are, and all others become 32×32: the middle square, made smaller.

    Raises:
        ArgumentError: fewer than two classes, fewer than five pictures of one, or a file that is no picture.
        MissingExtraError: Pillow is not installed.
    """
    folder = Path(folder)
    image_module = require_pillow(f"the pictures in {str(folder)!r}")
    if side is not None and side < 1:
        raise ArgumentError(f"side must be at least 1, got {side}")
    files = _files(folder)
    classes = tuple(files)
    pictures = [_opened(image_module, path) for paths in files.values() for path in paths]
    sizes = {picture.size for picture in pictures}
    kept = side is None and len(sizes) == 1 and max(next(iter(sizes))) <= LARGEST
    grey = all(picture.mode in ("1", "L", "I", "I;16", "F") for picture in pictures)
    arrays = [_array(picture, grey, None if kept else side or SIDE, image_module) for picture in pictures]
    labels = np.repeat(np.arange(len(classes)), [len(paths) for paths in files.values()]).astype(np.int64)
    parts = _by_class(np.stack(arrays), labels)
    height, width = arrays[0].shape[1:]
    shown = f"{height}×{width} {'grey values' if grey else 'colours'}" + ("" if kept else ", made so from other sizes")
    counts = ", ".join(f"{len(part):,}" for part in parts)
    description = (
        f"{len(pictures):,} pictures of {len(classes)} classes in {folder}, {shown}; of each class 70% train, 15% "
        f"choose the learning rate and 15% score ({counts} pictures)"
    )
    name = folder.resolve().name
    return Task(name, description, str(folder), "yours", "classes", len(classes), *standardised(parts), names=classes)


def _files(folder: Path) -> dict[str, list[Path]]:
    """Return the pictures of each class, in the order of their names."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = {one.name: sorted(path for path in one.iterdir() if path.suffix.lower() in ENDINGS) for one in inside}
    found = {name: paths for name, paths in found.items() if paths}
    if len(found) < 2:
        raise ArgumentError(
            f"{str(folder)!r} must have a folder with pictures for each of two or more classes (FOLDER/class/file.png)"
            f"; found {', '.join(found) or 'none'}. Pictures end in {', '.join(ENDINGS)}"
        )
    few = {name: len(paths) for name, paths in found.items() if len(paths) < FEWEST}
    if few:
        told = ", ".join(f"{name} ({count})" for name, count in few.items())
        raise ArgumentError(
            f"each class of {str(folder)!r} needs {FEWEST} pictures or more to be split; too few: {told}"
        )
    return found


def _opened(image_module: Any, path: Path) -> Any:
    try:
        with image_module.open(path) as picture:
            picture.load()
            return picture.convert("RGB") if picture.mode in ("P", "RGBA", "LA", "CMYK", "YCbCr") else picture.copy()
    except (OSError, SyntaxError, ValueError) as error:
        raise ArgumentError(f"cannot read the picture {str(path)!r}: {error}") from None


def _array(picture: Any, grey: bool, side: int | None, image_module: Any) -> NDArray[np.float32]:
    """Return (channels, height, width)."""
    if side is not None:
        width, height = picture.size
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        middle = (left, top, left + short, top + short)
        working = picture.convert("F") if grey else picture.convert("RGB")
        picture = working.resize((side, side), image_module.Resampling.BOX, box=middle)
    values = np.asarray(picture if grey else picture.convert("RGB"), np.float32)
    return values[None] if grey else values.transpose(2, 0, 1)


def _by_class(inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[Split, Split, Split]:
    """Cut each class by itself, so that each part has every class."""
    generator = np.random.default_rng(SPLIT_SEED)
    places: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in range(int(labels.max()) + 1):
        order = generator.permutation(np.flatnonzero(labels == label))
        count = max(1, round(VALIDATION * len(order)))
        for part, chosen in zip(places, np.split(order, [len(order) - 2 * count, len(order) - count]), strict=True):
            part.extend(chosen.tolist())
    first, second, third = (Split(inputs[part], labels[part]) for part in places)
    return first, second, third
