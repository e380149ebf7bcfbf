"""Sparse weights: exactly so many zeros in each column, chosen uniformly, and the other numbers those of Normal."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.sampler import Stream, pattern, smallest_of_columns
from wellbegun.sampler.layout import ELEMENT_DRAW, HOUSEHOLDER_DRAW, PATTERN_DRAW
from wellbegun.sampler.reference import own_words

SHAPES = [(10, 3), (1, 1), (7, 20), (300, 5), (3, 300), (1000, 1), (1, 1000)]
SHARES = [0.0, 0.1, 0.25, 0.5, 0.9, 1.0, 1 / 3]


def filled(law, size, dtype=np.float32, name="w", **where):
    out = np.empty(size, dtype)
    wb.fill(out, law, seed=3, name=name, **where)
    return out


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("share", SHARES)
def test_as_many_zeros_as_torch_and_the_other_numbers_of_normal(shape, share):
    values, normals = filled(wb.Sparse(share, std=0.5), shape), filled(wb.Normal(0.5), shape)
    theirs = torch.nn.init.sparse_(torch.ones(shape), share, std=0.5).numpy()
    np.testing.assert_array_equal((values == 0).sum(axis=0), (theirs == 0).sum(axis=0))
    kept = values != 0
    np.testing.assert_array_equal(values[kept], normals[kept])
    assert not np.signbit(values[~kept]).any()


@pytest.mark.parametrize("together", [1, 8, 64, pattern.TOGETHER])
@pytest.mark.parametrize("shape", [(10, 3), (7, 20), (40, 5)], ids=str)
def test_the_rows_with_the_smallest_word_and_row(shape, together, monkeypatch):
    """By the definition, one element at a time, for any size of the pieces."""
    monkeypatch.setattr(pattern, "TOGETHER", together)
    stream, (rows, columns), count = Stream.of(3, "w"), shape, 4
    expected = np.zeros(shape, bool)
    for column in range(columns):
        index = np.arange(rows, dtype=np.uint64) * np.uint64(columns) + np.uint64(column)
        words = own_words(stream, index, purpose=PATTERN_DRAW)
        order = sorted((int(word), row) for row, word in enumerate(words))
        expected[[row for _, row in order[:count]], column] = True
    got = np.zeros(shape, bool)
    for where, chosen in smallest_of_columns(stream, rows, columns, count):
        got[:, where] = chosen
    np.testing.assert_array_equal(got, expected)


def test_equal_words_are_told_apart_by_their_row(monkeypatch):
    monkeypatch.setattr(pattern, "own_words", lambda stream, index, purpose: np.zeros(index.size, np.uint32))
    ((_, chosen),) = smallest_of_columns(Stream.of(3, "w"), 5, 2, 3)
    np.testing.assert_array_equal(chosen, [[True, True]] * 3 + [[False, False]] * 2)


def test_the_choice_is_uniform_and_without_replacement():
    """Of 6 rows, all 15 pairs are equally likely (chi-square), column by column independently."""
    zeros = filled(wb.Sparse(1 / 3), (6, 30_000)) == 0
    pairs = np.packbits(zeros, axis=0, bitorder="little")[0]
    counts = np.unique(pairs, return_counts=True)[1]
    assert len(counts) == math.comb(6, 2)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    repeats = np.count_nonzero(pairs[1:] == pairs[:-1])
    assert scipy.stats.binomtest(repeats, len(pairs) - 1, 1 / 15).pvalue > 1e-3


def test_the_choice_does_not_depend_on_the_values():
    """The magnitude of the numbers that stay has the law of all numbers: the pattern has words of its own."""
    values = filled(wb.Sparse(0.5, std=1.0), (100, 1000))
    assert scipy.stats.kstest(np.abs(values[values != 0]), scipy.stats.halfnorm.cdf).pvalue > 1e-3
    assert len({ELEMENT_DRAW, HOUSEHOLDER_DRAW, PATTERN_DRAW}) == 3


def test_a_part_is_that_part_of_the_whole():
    law, shape = wb.Sparse(0.6), (20, 12)
    whole = filled(law, shape)
    np.testing.assert_array_equal(filled(law, (5, 4), shape=shape, offset=(7, 3)), whole[7:12, 3:7])
    np.testing.assert_array_equal(filled(law, 33, shape=shape, offset=50), whole.reshape(-1)[50:83])


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan"), True, "0.5", None], ids=repr)
def test_shares_outside_0_to_1_are_refused(bad):
    with pytest.raises(ArgumentError, match="sparsity must be a share of 0 to 1"):
        wb.Sparse(bad)


def test_a_share_counts_as_it_is_written():
    """0.1 rounded to float32 is above 0.1, and would make two zeros of ten rows."""
    assert (filled(wb.Sparse(0.1), (10, 50)) == 0).sum(axis=0).tolist() == [1] * 50
    assert wb.Sparse(0.1).moments((10, 50)) == (0.0, pytest.approx(0.01 * math.sqrt(0.9)))


def test_shapes_that_do_not_fit_are_refused():
    for shape, shown in (((5,), "two dimensions"), ((5, 5, 3), "two dimensions"), ((2**32 + 1, 1), r"2\*\*32")):
        with pytest.raises(ArgumentError, match=shown):
            wb.Sparse(0.5).check_shape(shape)
    assert filled(wb.Sparse(0.5), (0, 4)).shape == (0, 4)
