"""Orthogonal matrices: orthonormal to 1e-5, exactly Haar distributed, the same on every call."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.stats

from wellbegun.errors import ArgumentError
from wellbegun.sampler import Stream, householder, orthogonal
from wellbegun.sampler.reference import standard_normal

SHAPES = [(1, 1), (5, 5), (3, 7), (7, 3), (1, 9), (9, 1), (64, 64), (65, 65), (128, 130), (300, 200), (200, 300)]
# one panel and a little more, exactly two, and three of which the first is narrow: each both ways
PANELS = [(257, 257), (512, 512), (600, 513), (513, 600)]


def deviation(q):
    """max |QᵀQ - I| of the shorter side, in float64."""
    q = q.astype(np.float64)
    product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    return np.abs(product - np.eye(len(product))).max()


@pytest.mark.parametrize("shape", [*SHAPES, *PANELS, (2000, 300), (300, 2000), (1, 5000), (5000, 1)])
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_orthonormal(shape, dtype, bound):
    q = orthogonal(Stream.of(7, "w"), *shape, dtype)
    assert q.dtype == dtype
    assert q.shape == shape
    assert q.flags.c_contiguous
    assert deviation(q) <= bound


@pytest.mark.slow
@pytest.mark.parametrize("size", [2048, 4096])
def test_large_ones_are_orthonormal_and_float64_refines_float32(size):
    single, double = (orthogonal(Stream.of(7, "w"), size, size, dtype) for dtype in (np.float32, np.float64))
    assert deviation(single) <= 1e-6
    assert deviation(double) <= 1e-13
    assert np.abs(single - double).max() <= 1e-6


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_empty(shape):
    assert orthogonal(Stream.of(7, "w"), *shape).shape == shape


@pytest.mark.parametrize("shape", [*SHAPES, *PANELS])
def test_the_reflections_one_by_one(shape):
    """docs/sampler.md without the blocks: reflect the columns of the identity, last vector first."""
    long, short = max(shape), min(shape)
    draws = standard_normal(Stream.of(7, "w"), np.arange(long * short, dtype=np.uint64), purpose=1)
    draws = draws.reshape(long, short).astype(np.float64)
    matrix = np.zeros((long, short))
    for k in reversed(range(short)):
        x = draws[k:, k].copy()
        sign = -1.0 if x[0] < 0 else 1.0
        matrix[k, k] = -sign
        x[0] += sign * np.sqrt((x * x).sum())
        x /= np.sqrt((x * x).sum())
        matrix[k:] -= 2 * np.outer(x, x @ matrix[k:])
    expected = matrix if shape[0] >= shape[1] else matrix.T
    np.testing.assert_allclose(orthogonal(Stream.of(7, "w"), *shape), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(orthogonal(Stream.of(7, "w"), *shape, np.float64), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", [(5, 5), (4, 9), (30, 8)])
def test_it_is_q_of_the_gaussian_with_a_positive_diagonal(shape):
    """The first column is the first Gaussian vector, normalised: the sign convention of R_kk > 0."""
    long, short = max(shape), min(shape)
    stream = Stream.of(7, "w")
    x = standard_normal(stream, np.arange(long * short, dtype=np.uint64), purpose=1).reshape(long, short)[:, 0]
    q = orthogonal(stream, *shape)
    first = q[:, 0] if shape[0] >= shape[1] else q[0]
    np.testing.assert_allclose(first, x / np.linalg.norm(x.astype(float)), rtol=0, atol=1e-6)


def test_same_stream_same_matrix_and_global_state_untouched():
    before = np.random.get_state()[1].copy()
    one, other = (orthogonal(Stream.of(7, "w"), 65, 40) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert not np.allclose(one, orthogonal(Stream.of(7, "v"), 65, 40))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("shape", [(3, 3), (6, 4), (4, 6)])
def test_every_entry_has_the_marginal_law_of_haar_measure(shape):
    """An entry of a Haar vector in d dimensions: its square is Beta(1/2, (d - 1)/2), its sign fair."""
    draws = np.stack([orthogonal(Stream.of(seed, "w"), *shape) for seed in range(4000)]).astype(np.float64)
    d = max(shape)
    signed = scipy.stats.beta(0.5, (d - 1) / 2)

    def cdf(x):
        return 0.5 + 0.5 * np.sign(x) * signed.cdf(x * x)

    for i in range(shape[0]):
        for j in range(shape[1]):
            assert scipy.stats.kstest(draws[:, i, j], cdf).pvalue > 1e-3


def test_traces_and_determinants_of_3x3():
    """E tr Q = 0, E (tr Q)² = 1, E (tr Q)⁴ = 3, E tr Q² = 1 for Haar on O(3) (Diaconis, Shahshahani 1994), det ±1."""
    size = 4000
    draws = np.stack([orthogonal(Stream.of(seed, "haar"), 3, 3) for seed in range(size)]).astype(np.float64)
    trace = np.trace(draws, axis1=1, axis2=2)
    square = np.trace(draws @ draws, axis1=1, axis2=2)
    for values, mean in ((trace, 0.0), (trace**2, 1.0), (trace**3, 0.0), (trace**4, 3.0), (square, 1.0)):
        assert abs(values.mean() - mean) <= 4 * values.std() / np.sqrt(size)
    positive = np.count_nonzero(np.linalg.det(draws) > 0)
    assert scipy.stats.binomtest(positive, size).pvalue > 1e-3
    assert scipy.stats.binomtest(np.count_nonzero(draws[:, 0, 0] > 0), size).pvalue > 1e-3


def test_rotating_a_haar_matrix_changes_nothing():
    """Invariance: entries of A·Q·B for a fixed rotation A and B have the law of those of Q (two-sample test)."""
    draws = np.stack([orthogonal(Stream.of(seed, "left"), 4, 4) for seed in range(4000)]).astype(np.float64)
    others = np.stack([orthogonal(Stream.of(seed, "right"), 4, 4) for seed in range(4000)]).astype(np.float64)
    a, b = (orthogonal(Stream.of(0, name), 4, 4).astype(np.float64) for name in "ab")
    turned = a @ others @ b
    for functional in (
        lambda q: q[:, 0, 0],
        lambda q: q[:, 3, 3],
        lambda q: q[:, 0, 0] + q[:, 1, 1],
        lambda q: q[:, 2, 0] * q[:, 0, 2],
    ):
        assert scipy.stats.ks_2samp(functional(draws), functional(turned)).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (300, 300)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_starts_at_any_element_of_the_stream(shape, dtype):
    """The first column is the normalised first column of the draws from there on."""
    start, long, short = 2**34 + 77, max(shape), min(shape)
    stream = Stream.of(7, "w")
    index = np.arange(start, start + long * short, dtype=np.uint64)
    x = standard_normal(stream, index, purpose=1).reshape(long, short)[:, 0].astype(np.float64)
    q = orthogonal(stream, *shape, dtype, start)
    first = q[:, 0] if shape[0] >= shape[1] else q[0]
    np.testing.assert_allclose(first, x / np.linalg.norm(x), rtol=0, atol=1e-6)
    assert deviation(q) <= 1e-6
    assert np.abs(q - orthogonal(stream, *shape, dtype)).max() > 0.1


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6)])
def test_vectors_of_zeros_have_no_direction_and_give_the_identity(shape, monkeypatch):
    """A word that gives exactly 0 exists, and the last vector of a square matrix has length 1."""
    monkeypatch.setattr(householder, "draw_householder", lambda out, stream, start: out.fill(0))
    np.testing.assert_array_equal(orthogonal(Stream.of(7, "w"), *shape), np.eye(*shape, dtype=np.float32))


@pytest.mark.parametrize("shape", [(1500, 1500), (3000, 700), (700, 3000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_beside_the_result_is_a_few_panels(shape, dtype):
    orthogonal(Stream.of(7, "w"), 8, 8)  # what is loaded once does not count
    tracemalloc.start()
    try:
        q = orthogonal(Stream.of(7, "w"), *shape, dtype)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    panels = householder.PANEL * (2 * max(shape) + min(shape)) * q.itemsize  # one of them copied while it is squared
    assert peak - q.nbytes <= panels + 8 * householder.PANEL**2 * 8 + 4 * householder.CHUNK


@pytest.mark.parametrize("shape", [(300, 260), (260, 300), (3, 3), (0, 4)])
def test_it_is_made_in_the_array_that_is_given(shape):
    out = np.full(shape, np.nan, np.float32)
    assert orthogonal(Stream.of(7, "w"), *shape, out=out) is out
    np.testing.assert_array_equal(out, orthogonal(Stream.of(7, "w"), *shape))
    for bad in (np.empty(shape), np.empty((shape[0] + 1, shape[1]), np.float32), np.empty((4, 9), np.float32).T):
        with pytest.raises(ArgumentError, match="row-major, float32"):
            orthogonal(Stream.of(7, "w"), *shape, out=bad)


def test_what_blas_cannot_count_is_refused_before_anything_is_made():
    with pytest.raises(ArgumentError, match="2147483648"):
        orthogonal(Stream.of(7, "w"), 2**31, 1)


def test_the_same_bits_from_many_threads_and_after_a_fork():
    stream, shape = Stream.of(7, "w"), (700, 600)
    expected = orthogonal(stream, *shape)
    with ThreadPoolExecutor(4) as pool:
        for q in pool.map(lambda _: orthogonal(stream, *shape), range(8)):
            np.testing.assert_array_equal(q, expected)
    # in a process of its own: this one's other libraries may have threads that a fork would leave behind
    script = (
        "import os\n"
        "from wellbegun.sampler import Stream, orthogonal\n"
        "draw = lambda: orthogonal(Stream.of(7, 'w'), 700, 600).tobytes()\n"
        "parent, child = draw(), os.fork()\n"
        "if child == 0: os._exit(0 if draw() == parent else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=120, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
