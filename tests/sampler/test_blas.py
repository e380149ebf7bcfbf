"""Matrix products in place: equal to NumPy's on every kind of view, and no number beside the view is touched."""

from __future__ import annotations

import numpy as np
import pytest

from wellbegun.errors import ArgumentError
from wellbegun.sampler.blas import invert_upper, multiply, multiply_by_upper, upper_gram

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-13}
SIZES = [(1, 1, 1), (1, 5, 3), (5, 1, 3), (5, 4, 1), (7, 6, 5), (130, 70, 33)]
every_dtype = pytest.mark.parametrize("dtype", TOLERANCE)


def view(rows, columns, dtype, layout, seed):
    """A matrix of normals of a layout, inside a store of them: (view, store)."""
    random = np.random.default_rng(seed)
    if layout == "rows":
        store = random.normal(size=(rows, columns)).astype(dtype)
        return store, store
    if layout == "columns":
        store = random.normal(size=(columns, rows)).astype(dtype)
        return store.T, store
    if layout == "part of rows":
        store = random.normal(size=(rows + 3, columns + 5)).astype(dtype)
        return store[2 : 2 + rows, 4 : 4 + columns], store
    store = random.normal(size=(columns + 5, rows + 3)).astype(dtype)
    return store.T[2 : 2 + rows, 4 : 4 + columns], store


LAYOUTS = ["rows", "columns", "part of rows", "part of columns"]


@every_dtype
@pytest.mark.parametrize("of_out", LAYOUTS)
@pytest.mark.parametrize("of_a", LAYOUTS)
@pytest.mark.parametrize("of_b", LAYOUTS)
def test_multiply(dtype, of_out, of_a, of_b):
    for rows, columns, inner in SIZES:
        a, b = view(rows, inner, dtype, of_a, 1)[0], view(inner, columns, dtype, of_b, 2)[0]
        for scale, keep in ((1.0, 0.0), (-1.0, 1.0), (0.5, -2.0)):
            out, store = view(rows, columns, dtype, of_out, 3)
            before, beside = out.copy(), store.sum(dtype=np.float64) - out.sum(dtype=np.float64)
            multiply(out, a, b, scale=scale, keep=keep)
            np.testing.assert_allclose(out, scale * (a @ b) + keep * before, rtol=0, atol=30 * TOLERANCE[dtype])
            assert store.sum(dtype=np.float64) - out.sum(dtype=np.float64) == pytest.approx(beside, abs=1e-9)


def test_multiply_does_not_read_what_it_overwrites():
    out = np.full((3, 2), np.nan, np.float32)
    multiply(out, np.ones((3, 4), np.float32), np.ones((4, 2), np.float32))
    np.testing.assert_array_equal(out, 4)
    multiply(np.empty((0, 2)), np.empty((0, 4)), np.empty((4, 2)))


@every_dtype
@pytest.mark.parametrize("size", [1, 2, 33, 256])
@pytest.mark.parametrize("layout", ["rows", "part of rows"])
def test_triangles(dtype, size, layout):
    """The lower triangle is neither read nor written."""
    matrix, _ = view(size, 40, dtype, layout, 1)
    upper, _ = view(size, size, dtype, layout, 2)
    upper[np.arange(size), np.arange(size)] = 2 * np.sqrt(size)  # well conditioned
    triangle, lower = np.triu(upper), np.tril(upper, -1)

    product = matrix.copy()
    multiply_by_upper(upper, product)
    np.testing.assert_allclose(product, triangle @ matrix, rtol=0, atol=100 * TOLERANCE[dtype])

    gram, _ = view(40, 40, dtype, layout, 3)
    below = np.tril(gram, -1)
    upper_gram(gram, matrix)
    np.testing.assert_allclose(np.triu(gram), np.triu(matrix.T @ matrix), rtol=0, atol=100 * TOLERANCE[dtype])
    np.testing.assert_array_equal(np.tril(gram, -1), below)

    inverse = upper.copy()
    invert_upper(inverse)
    np.testing.assert_allclose(np.triu(inverse) @ triangle, np.eye(size), rtol=0, atol=30 * TOLERANCE[dtype])
    np.testing.assert_array_equal(np.tril(inverse, -1), lower)


def test_a_zero_on_the_diagonal_has_no_inverse():
    with pytest.raises(ArgumentError, match="place 2"):
        invert_upper(np.array([[1.0, 3.0], [0.0, 0.0]]))


@pytest.mark.parametrize(
    ("out", "a", "b", "shown"),
    [
        (np.empty((2, 2)), np.empty((2, 3)), np.empty((2, 2)), r"\(2, 3\) and \(2, 2\)"),
        (np.empty((2, 3)), np.empty((2, 2)), np.empty((2, 2)), r"into \(2, 3\)"),
        (np.empty((2, 2)), np.empty((2, 0)), np.empty((0, 2)), r"\(2, 0\)"),
        (np.empty((2, 2), np.float32), np.empty((2, 2)), np.empty((2, 2)), "float32"),
        (np.empty((2, 2), np.float16), np.empty((2, 2), np.float16), np.empty((2, 2), np.float16), "float16"),
        (np.empty((2, 2)), np.empty((4, 4))[::2, ::2], np.empty((2, 2)), "strides"),
    ],
)
def test_what_cannot_be_multiplied_is_refused(out, a, b, shown):
    with pytest.raises(ArgumentError, match=shown):
        multiply(out, a, b)


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (lambda: multiply_by_upper(np.eye(3), np.ones((2, 3))), r"\(2, 2\) is needed, got \(3, 3\)"),
        (lambda: multiply_by_upper(np.eye(2), np.ones((3, 2)).T), "row-major"),
        (lambda: upper_gram(np.eye(2), np.ones((2, 3))), r"\(3, 3\) is needed, got \(2, 2\)"),
        (lambda: upper_gram(np.eye(2, dtype=np.float32), np.ones((3, 2))), "float32"),
        (lambda: invert_upper(np.ones((2, 3))), r"\(2, 2\) is needed, got \(2, 3\)"),
        (lambda: invert_upper(np.triu(np.ones((3, 3))).T), "row-major"),
    ],
)
def test_triangles_of_another_shape_or_order_are_refused(call, shown):
    with pytest.raises(ArgumentError, match=shown):
        call()
