"""The streams of random words that battery.py tests: ours, in the orders in which a defect would show.

Every stream is an endless iterator over arrays of unsigned integers. `check` holds the fast path used here to the NumPy
reference on the first words of each order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from wellbegun.sampler import Draw, Stream, definition, reference, write
from wellbegun.sampler.kernels.philox import draw_words
from wellbegun.sampler.layout import LANES, LOW_HALF, TILE, counter_tag

Words = NDArray[Any]

SEED = 2026
BLOCK = 1 << 22
STREAMS, RUN = 4096, 64


@numba.njit(nogil=True)
def _fill(out: Words, first: int, tag: int, word: int, k0: int, k1: int) -> None:
    """Write whole tiles of one stream's own words, in element order, beginning with tile `first`."""
    for tile in range(out.size // TILE):
        o = out[tile * TILE : (tile + 1) * TILE]
        block = np.uint64(first + tile) * np.uint64(LANES)
        draw_words(
            block, LANES, tag, word, k0, k1,
            o[:LANES], o[LANES : 2 * LANES], o[2 * LANES : 3 * LANES], o[3 * LANES :],
        )  # fmt: skip


def own_words(stream: Stream, first: int, count: int, tag: int = 0) -> Words:
    """Elements first to first + count of a stream, as their 32-bit words."""
    tiles = range(first // TILE, -(-(first + count) // TILE))
    out = np.empty(len(tiles) * TILE, np.uint32)
    _fill(out, tiles.start, *(np.uint64(number) for number in (tag, stream.word, *stream.key)))
    return out[first % TILE :][:count]


def one(seed: int) -> Iterator[Words]:
    """One tensor, in element order."""
    stream = Stream.of(seed, "layers.0.weight")
    return (own_words(stream, first, BLOCK) for first in itertools.count(0, BLOCK))


def reversed_bits(seed: int) -> Iterator[Words]:
    """The same with the 32 bits of each word in reverse, since many tests look at the upper bits only."""
    for words in one(seed):
        for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F)):
            words = (words >> np.uint32(shift)) & np.uint32(mask) | (words & np.uint32(mask)) << np.uint32(shift)
        yield words.byteswap()


def doubles(seed: int) -> Iterator[Words]:
    """Upper and lower half of one float64 tensor's 64-bit words, in turn (purposes 0 and 128)."""
    stream = Stream.of(seed, "layers.0.weight")
    for first in itertools.count(0, BLOCK // 2):
        halves = [own_words(stream, first, BLOCK // 2, counter_tag(purpose, 0)) for purpose in (0, LOW_HALF)]
        yield np.stack(halves, axis=1).ravel()


def tags(seed: int) -> Iterator[Words]:
    """The same elements of one tensor under 64 purposes and attempts, 64 elements of each in turn."""
    stream = Stream.of(seed, "layers.0.weight")
    used = [counter_tag(purpose, attempt) for purpose in (0, 1, 2, 7, 128, 129, 130, 135) for attempt in range(8)]
    return _in_turn([(stream, tag) for tag in used], 64)


def names(seed: int) -> Iterator[Words]:
    """The tensors layers.0.weight to layers.4095.weight of one seed, 64 elements of each in turn."""
    return _in_turn([(Stream.of(seed, f"layers.{n}.weight"), 0) for n in range(STREAMS)], 64)


def names_one_by_one(seed: int) -> Iterator[Words]:
    """The same tensors, one element of each in turn: element i of all of them, then element i + 1."""
    return _in_turn([(Stream.of(seed, f"layers.{n}.weight"), 0) for n in range(STREAMS)], 1)


def seeds(seed: int) -> Iterator[Words]:
    """The tensor layers.0.weight of 4,096 consecutive seeds, 64 elements of each in turn."""
    return _in_turn([(Stream.of(seed + n, "layers.0.weight"), 0) for n in range(STREAMS)], 64)


def seeds_one_by_one(seed: int) -> Iterator[Words]:
    """The same, one element of each in turn."""
    return _in_turn([(Stream.of(seed + n, "layers.0.weight"), 0) for n in range(STREAMS)], 1)


def beginnings(seed: int) -> Iterator[Words]:
    """The first 256 elements of ever new tensors: layers.0.weight, layers.1.weight and so on."""
    for first in itertools.count(0, BLOCK // TILE):
        yield np.concatenate(
            [own_words(Stream.of(seed, f"layers.{first + n}.weight"), 0, TILE) for n in range(BLOCK // TILE)]
        )


def normals(seed: int) -> Iterator[Words]:
    """Standard normals of one float64 tensor in element order, mapped back to 32 bits by the normal's own CDF."""
    stream, out = Stream.of(seed, "layers.0.weight"), np.empty(BLOCK)
    for first in itertools.count(0, BLOCK):
        write(out, Draw.normal(0.0, 1.0), stream, first)
        yield _back(out, 32).astype(np.uint32)


def normal_pairs(seed: int) -> Iterator[Words]:
    """The same normals with the two members of each Box-Muller pair side by side."""
    for words in normals(seed):
        yield words.reshape(-1, 2, LANES).transpose(0, 2, 1).ravel()


def normals32(seed: int) -> Iterator[Words]:
    """Standard normals of one float32 tensor, mapped back to their upper 8 bits: float32 itself has no more than 24."""
    stream, out = Stream.of(seed, "layers.0.weight"), np.empty(BLOCK, np.float32)
    for first in itertools.count(0, BLOCK):
        write(out, Draw.normal(0.0, 1.0), stream, first)
        yield _back(out.astype(np.float64), 8).astype(np.uint8)


def overlapping(seed: int) -> Iterator[Words]:
    """A control that must fail: 4,096 'tensors' that all read one stream, each 48 elements after the one before."""
    stream = Stream.of(seed, "layers.0.weight")
    for turn in itertools.count():
        part = own_words(stream, turn * STREAMS * RUN, STREAMS * 48 + RUN)
        yield np.lib.stride_tricks.sliding_window_view(part, RUN)[: STREAMS * 48 : 48].ravel()


def _in_turn(sources: list[tuple[Stream, int]], run: int) -> Iterator[Words]:
    """Elements of many sources: `run` of the first, `run` of the second and so on, then the next `run` of the first."""
    length = max(BLOCK // len(sources), TILE)
    for first in itertools.count(0, length):
        rows = np.stack([own_words(stream, first, length, tag) for stream, tag in sources])
        yield rows.reshape(len(sources), length // run, run).transpose(1, 0, 2).ravel()


@numba.njit(nogil=True)
def _back(z: Any, bits: int) -> Any:
    out = np.empty(z.size, np.uint64)
    scale = 2.0**bits
    for i in range(z.size):
        out[i] = np.uint64(min(0.5 * math.erfc(-z[i] * math.sqrt(0.5)) * scale, scale - 1))
    return out


ORDERS: dict[str, Callable[[int], Iterator[Words]]] = {
    "one": one,
    "reversed": reversed_bits,
    "doubles": doubles,
    "tags": tags,
    "names": names,
    "names-1": names_one_by_one,
    "seeds": seeds,
    "seeds-1": seeds_one_by_one,
    "beginnings": beginnings,
    "normals": normals,
    "normal-pairs": normal_pairs,
    "normals32": normals32,
}
CONTROL = "overlapping"


def by_name(order: str) -> Callable[[int], Iterator[Words]]:
    """The order of a name, the control among them."""
    return overlapping if order == CONTROL else ORDERS[order]


def check() -> None:
    """Compare the fast path with the reference; raises AssertionError where they differ."""
    stream, index = Stream.of(SEED, "layers.0.weight"), np.arange(100, 2000, dtype=np.uint64)
    for purpose, attempt in ((0, 0), (LOW_HALF, 0), (7, 5)):
        want = reference.own_words(stream, index, attempt, purpose)
        np.testing.assert_array_equal(own_words(stream, 100, 1900, counter_tag(purpose, attempt)), want)
    third = [reference.own_words(Stream.of(SEED, f"layers.{n}.weight"), index[:1] - np.uint64(98))[0] for n in range(9)]
    np.testing.assert_array_equal(next(names_one_by_one(SEED))[2 * STREAMS :][:9], third)
    word = int(next(reversed_bits(SEED))[5])
    assert f"{word:032b}"[::-1] == f"{int(own_words(stream, 5, 1)[0]):032b}"
    z = definition.values(stream, np.arange(TILE, dtype=np.uint64), Draw.normal(0.0, 1.0), np.float64)
    back = [math.erfc(-number / math.sqrt(2)) * 2.0**31 for number in (z[3], z[3 + LANES])]
    assert np.abs(next(normal_pairs(SEED))[6:8] - np.array(back)).max() <= 1
