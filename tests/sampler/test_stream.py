"""Seed and name become Philox words: the encoding of docs/sampler.md, written again byte by byte."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellbegun.errors import ArgumentError
from wellbegun.sampler import Stream, check_seed
from wellbegun.sampler.layout import LANES
from wellbegun.sampler.reference import own_words, philox


def spelled_out(seed: int, name: bytes) -> tuple[int, int, int]:
    message = struct.pack("<QIQQQ", 4, 1, 8, seed, len(name)) + name
    return struct.unpack("<3I", hashlib.blake2b(message, digest_size=12).digest())


@given(seed=st.integers(0, 2**64 - 1), name=st.text())
def test_encoding(seed, name):
    stream = Stream.of(seed, name)
    assert (*stream.key, stream.word) == spelled_out(seed, name.encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((7, "ab.cdef"), (7, "abc.def")),
        ((7, "w"), (8, "w")),
        ((7, "w"), (7 + 2**32, "w")),
        ((7, ""), (7, "\0")),
        ((7, "w"), (7, "w ")),
        ((7, "w"), (7, "W")),
        ((7, "\u00e9"), (7, "e\u0301")),  # é in one code point and in two: different names
        ((0, "1"), (1, "0")),
    ],
)
def test_different_seeds_and_names_differ(one, other):
    a, b = Stream.of(*one), Stream.of(*other)
    assert a != b
    index = np.arange(4096, dtype=np.uint64)
    assert np.count_nonzero(own_words(a, index) == own_words(b, index)) <= 1


def test_unicode_and_lone_surrogates_are_names():
    names = ["gewicht.größe", "重み", "🙂", "\ud800", ""]
    assert len({Stream.of(0, name) for name in names}) == len(names)
    assert Stream.of(0, "🙂") == Stream(*(lambda w: (w[:2], w[2]))(spelled_out(0, b"\xf0\x9f\x99\x82")))
    assert Stream.of(0, "\ud800") == Stream(*(lambda w: (w[:2], w[2]))(spelled_out(0, b"\xed\xa0\x80")))


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int64(5), np.uint64(2**64 - 1), np.array(5), torch.tensor(5)])
def test_integers_of_every_kind_are_seeds(seed):
    assert Stream.of(seed, "w") == Stream.of(int(seed), "w")


@pytest.mark.parametrize(
    "seed",
    [-1, 2**64, 1.0, 2.5, "7", None, True, False, np.True_, np.float64(1), np.array(2.5), np.array([1, 2]),
     torch.tensor(2.5), b"7", 1j],
    ids=repr,
)  # fmt: skip
def test_bad_seeds_are_named(seed):
    with pytest.raises(ArgumentError, match="seed must be an integer") as caught:
        check_seed(seed)
    assert repr(seed) in str(caught.value)
    with pytest.raises(ArgumentError):
        Stream.of(seed, "w")


@pytest.mark.parametrize("name", [None, 7, b"w", ("w",)], ids=repr)
def test_bad_names_are_named(name):
    with pytest.raises(ArgumentError, match="name must be a string") as caught:
        Stream.of(0, name)
    assert repr(name) in str(caught.value)


def test_streams_share_no_block_of_64():
    """20 streams of 4096 elements: no 64 consecutive words of one appear anywhere in another, aligned or not."""
    index = np.arange(4096, dtype=np.uint64)
    seen: dict[bytes, int] = {}
    for number in range(20):
        words = own_words(Stream.of(number % 4, f"layers.{number // 4}.weight"), index).tobytes()
        for first in range(0, 4096 - LANES + 1):
            # the owner of a window; the same stream may meet its own
            assert seen.setdefault(words[4 * first : 4 * (first + LANES)], number) == number


def test_streams_are_uncorrelated():
    index = np.arange(4096, dtype=np.uint64)
    names = [f"layers.{i}.weight" for i in range(20)]
    words = np.stack([own_words(Stream.of(7, name), index) for name in names]).astype(np.float64)
    off_diagonal = np.corrcoef(words)[~np.eye(20, dtype=bool)]
    # standard error 1/64: 190 pairs of independent streams stay within 4.5 of them but once in 800 cases
    assert np.abs(off_diagonal).max() < 4.5 / 64 < 0.1


def test_neighbouring_seeds_and_bits_are_balanced():
    """Each bit of the words of 256 seeds is set half of the time (4.5 standard errors)."""
    words = np.array([philox((0, 0, 0, s.word), s.key) for s in (Stream.of(seed, "w") for seed in range(4096))])
    bits = np.unpackbits(words.astype("<u4").view(np.uint8), axis=1)
    z = (bits.mean(axis=0) - 0.5) * 2 * np.sqrt(4096)
    assert np.abs(z).max() < 4.5
