"""Finding what does not belong: synthetic anomalies in a real brain volume."""

from __future__ import annotations

import gzip

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import DataError
from wellbegun.lab.data import find_set
from wellbegun.lab.pictures import reduced
from wellbegun.lab.split import standardised
from wellbegun.lab.task import SPLIT_SEED, Split, Task

VOLUME = "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"

SHRINK = 4
"""Voxels that become one pixel, in each direction."""

BRAIN = 0.08
"""A slice is used if this share of it is brain."""

BLOCKS = (("train", 20), ("gap", 3), ("validation", 7), ("gap", 3), ("test", 7), ("gap", 3))
"""Neighbouring slices and what they are for, again and again from the bottom of the brain to its top."""

COUNTS = {"train": 1200, "validation": 200, "test": 300}


def load_mri() -> Task:
    """Return axial slices, each with one patch that comes from another place, and where it is."""
    data = find_set("mri")
    slices = axial_slices(read_volume())
    blocks = _blocks(len(slices))
    generator = np.random.default_rng(SPLIT_SEED)
    train, validation, test = (with_anomalies(slices[blocks[part]], count, generator) for part, count in COUNTS.items())
    height, width = slices.shape[1:]
    description = (
        f"axial slices of one real brain volume (the average of 152 people's MRI), {height}×{width}, each with a patch "
        "that is mixed in from another slice; the task is to mark its pixels. There is one volume and the anomalies "
        "are synthetic: this shows how a network learns, and nothing of clinical value. "
        f"{COUNTS['train']:,} pictures train, {COUNTS['validation']} choose the learning rate, {COUNTS['test']} score, "
        "each from blocks of slices of their own with three slices left out between"
    )
    parts = standardised((train, validation, test))
    return Task("mri", description, data.source, data.licence, "mask", 1, *parts)


def read_volume() -> NDArray[np.uint8]:
    """Return the volume, as (left to right, back to front, bottom to top).

    Raises:
        DataError: the file is no volume of bytes in the NIfTI-1 format.
    """
    (packed,) = find_set("mri").read([VOLUME])
    content = gzip.decompress(packed)
    rank, *shape = np.frombuffer(content, "<i2", 4, 40).tolist()
    kind, start = int.from_bytes(content[70:72], "little"), int(np.frombuffer(content, "<f4", 1, 108)[0])
    if content[344:347] != b"n+1" or rank != 3 or kind != 2:
        raise DataError(f"{VOLUME} is no NIfTI-1 volume of bytes")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape, order="F")


def axial_slices(volume: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the horizontal slices that show brain, front up, cropped to the brain and made smaller."""
    brain = volume > 0
    rows, columns = (np.flatnonzero(brain.any(axis)) for axis in ((0, 2), (1, 2)))
    chosen = np.flatnonzero(brain.mean((0, 1)) > BRAIN)
    part = volume[columns[0] : columns[-1] + 1, rows[0] : rows[-1] + 1, chosen]
    pictures = part.transpose(2, 1, 0)[:, ::-1]
    height, width = (-(-size // (8 * SHRINK)) * 8 * SHRINK for size in pictures.shape[1:])
    margins = [
        (0, 0),
        *((total // 2, total - total // 2) for total in (height - pictures.shape[1], width - pictures.shape[2])),
    ]
    return reduced(np.pad(pictures, margins)[:, None], SHRINK)[:, 0]


def with_anomalies(slices: NDArray[np.float32], count: int, generator: np.random.Generator) -> Split:
    """Return pictures with a foreign patch each: (1 - a) times what is there, plus a times what is elsewhere.

    Tan, Hou, Day, Simpson, Rueckert and Kainz 2020, "Detecting outliers with foreign patch interpolation"; a is drawn
    from 0.4 to 1, the sides of the patch from a sixth to a third of the picture's.

    Args:
        slices: (n, height, width).
        count: pictures to make; slices are used in turn.
        generator: draws where and what.
    """
    pictures, masks = [], []
    for i in range(count):
        picture, mask = slices[i % len(slices)].copy(), np.zeros(slices.shape[1:], np.float32)
        here, there, a = _places(picture, slices, generator)
        other = slices[generator.integers(len(slices))]
        picture[here] = (1 - a) * picture[here] + a * other[there]
        mask[here] = 1
        pictures.append(picture)
        masks.append(mask)
    return Split(np.stack(pictures)[:, None], np.stack(masks)[:, None])


def _places(
    picture: NDArray[np.float32], slices: NDArray[np.float32], generator: np.random.Generator
) -> tuple[tuple[slice, slice], tuple[slice, slice], float]:
    """Draw where the patch goes, centred on brain, where it comes from, and how much of it is mixed in."""
    size = slices.shape[1:]
    sides = [int(generator.integers(length // 6, length // 3 + 1)) for length in size]
    brain = np.argwhere(picture > 0)
    centre = brain[generator.integers(len(brain))]
    corner = [int(np.clip(c - s // 2, 0, n - s)) for c, s, n in zip(centre, sides, size, strict=True)]
    shift = [int(generator.integers(-n // 4, n // 4 + 1)) for n in size]
    other = [int(np.clip(c + d, 0, n - s)) for c, d, s, n in zip(corner, shift, sides, size, strict=True)]
    here, there = (tuple(slice(c, c + s) for c, s in zip(place, sides, strict=True)) for place in (corner, other))
    return (here[0], here[1]), (there[0], there[1]), float(generator.uniform(0.4, 1.0))


def _blocks(count: int) -> dict[str, NDArray[np.int64]]:
    """Say which slices are for what."""
    cycle = [part for part, size in BLOCKS for _ in range(size)]
    parts = np.array([cycle[i % len(cycle)] for i in range(count)])
    return {part: np.flatnonzero(parts == part) for part in COUNTS}
