"""The bits: Philox4x32-10 against the published known answers, and where element i finds its word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from wellbegun.sampler import Stream
from wellbegun.sampler.kernels.philox import philox as compiled_philox
from wellbegun.sampler.layout import (
    ELEMENT_DRAW,
    HOUSEHOLDER_DRAW,
    IMAGINARY_DRAW,
    LANES,
    LOW_HALF,
    TILE,
    counter_tag,
)
from wellbegun.sampler.reference import blocks, own_words, philox

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "philox.json").read_text())["vectors"]

PURPOSES = [purpose + half for purpose in (ELEMENT_DRAW, HOUSEHOLDER_DRAW, IMAGINARY_DRAW) for half in (0, LOW_HALF)]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["counter"][0])
def test_known_answers(vector):
    counter, key, output = ([int(word, 16) for word in vector[part]] for part in ("counter", "key", "output"))
    assert [int(word) for word in philox(counter, tuple(key))] == output
    kernel = compiled_philox(
        np.uint64(counter[0] | counter[1] << 32), *(np.uint64(word) for word in (counter[2], counter[3], *key))
    )
    assert [int(word) for word in kernel] == output


@pytest.mark.parametrize("index", [0, 1, 63, 64, 255, 256, 257, 2**34 + 77, 2**40, 2**62 + 5, 2**63 - 1])
def test_an_element_finds_its_counter_and_word(index):
    """The layout again, one element at a time and in Python's unlimited integers."""
    stream = Stream.of(7, "w")
    tile, place = divmod(index, 256)
    block, own = tile * 64 + place % 64, place // 64
    words = philox((block % 2**32, block // 2**32, 0, stream.word), stream.key)
    assert int(own_words(stream, np.array([index], np.uint64))[0]) == int(words[own])


def test_every_word_of_every_counter_belongs_to_exactly_one_element():
    stream = Stream.of(7, "w")
    index = np.arange(3 * TILE, dtype=np.uint64)
    words, own = blocks(stream, index)
    mine = words[own, np.arange(index.size)]
    counters = np.arange(3 * LANES, dtype=np.uint64)
    everything = np.stack(philox((counters, counters >> np.uint64(32), 0, stream.word), stream.key))
    assert sorted(mine.tolist()) == sorted(everything.reshape(-1).tolist())


def test_purposes_and_attempts_have_their_own_counters():
    tags = {counter_tag(purpose, attempt) for purpose in PURPOSES for attempt in range(64)}
    assert len(tags) == 64 * len(PURPOSES)
    assert max(tags) < 2**32
    stream, index = Stream.of(7, "w"), np.arange(1024, dtype=np.uint64)
    draws = [own_words(stream, index, attempt, purpose) for purpose in PURPOSES for attempt in (0, 1, 63)]
    for i, one in enumerate(draws):
        for other in draws[:i]:
            assert not np.array_equal(one[:4], other[:4])
            # 153 pairs of 1024 equally likely words: the chance of one match is 3.6e-5
            assert not (one == other).any()
