"""Random orthogonal matrices, exactly Haar distributed, from Householder vectors drawn directly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.sampler.blas import LARGEST_SIZE, invert_upper, multiply, multiply_by_upper, upper_gram
from wellbegun.sampler.draws import draw_householder
from wellbegun.sampler.stream import Stream

PANEL = 256
"""Reflections applied together in one matrix product (compact WY form)."""

CHUNK = 1 << 18
"""Draws at once where they cannot be drawn in place."""

Matrix = NDArray[Any]


def orthogonal(stream: Stream, rows: int, columns: int, dtype: Any = np.float32, start: int = 0) -> Matrix:
    """Return a (semi-)orthogonal matrix drawn from the Haar measure.

    Rows are orthonormal if there are no more rows than columns, else columns are. In the QR factorisation of a
    Gaussian matrix by Householder reflections, the k-th reflection is that of a fresh Gaussian vector of length
    rows - k. Drawing those vectors directly gives the same law and leaves out the factorisation.

    >>> q = orthogonal(Stream.of(0, "w"), 3, 5)
    >>> bool(np.allclose(q @ q.T, np.eye(3), atol=1e-6))
    True

    Args:
        stream: where the numbers come from.
        rows, columns: shape of the result, at most 2**31 - 1 each.
        dtype: float32 or float64: of the result and of the arithmetic. The draws are the same float32 numbers. The
            products run through a BLAS library, so the bits may differ between machines, by 1e-6 at most in float32.
        start: index of the first of the rows·columns elements of the stream that the matrix is made of.

    Memory: the result is made where the draws were. Beside it: three panels of 256 of its shorter dimension's vectors.

    Source: Stewart (1980), "The efficient generation of random orthogonal matrices with an application to condition
    estimators"; compact WY form: Schreiber and Van Loan (1989).
    """
    long, short = max(rows, columns), min(rows, columns)
    if long > LARGEST_SIZE:
        raise ArgumentError(f"an orthogonal matrix has up to {LARGEST_SIZE} rows and columns, not {rows} and {columns}")
    matrix = _drawn(stream, long, short, np.dtype(dtype), start, "C" if rows >= columns else "F")
    space = np.empty(PANEL * short, matrix.dtype)
    for first in reversed(range(0, short, PANEL)):
        _reflect(matrix[first:, first:], min(PANEL, short - first), space)
    return matrix if rows >= columns else matrix.T


def _drawn(stream: Stream, long: int, short: int, dtype: np.dtype[Any], start: int, order: Any) -> Matrix:
    """Return the draws, element i·short + k at (i, k)."""
    matrix: Matrix = np.empty((long, short), dtype, order)
    if dtype == np.float32 and order == "C":
        draw_householder(matrix.reshape(-1), stream, start)
        return matrix
    together = max(CHUNK // max(short, 1), 1)
    draws = np.empty((min(together, long), short), np.float32)
    for first in range(0, long, together):
        part = draws[: long - first]
        draw_householder(part.reshape(-1), stream, start + first * short)
        matrix[first : first + together] = part
    return matrix


def _reflect(block: Matrix, width: int, space: Matrix) -> None:
    """Apply the reflections of the first `width` columns of a block.

    Those columns hold draws (their lower triangle), the others draws in their first `width` rows and, below, the
    product of all later reflections and the signs. Afterwards the whole block is such a product.
    """
    panel = np.array(block[:, :width], order="C")  # a copy: the block is overwritten
    signs, inverse = _householder(panel)
    top, others, own = panel[:width], block[:, width:], block[:, :width]
    # M - V·(T·(Vᵀ·M)), in which the first rows of M are still zero
    if others.size:
        shared = space[: others.shape[1] * width].reshape(width, -1)
        if len(panel) > width:
            multiply(shared, panel[width:].T, others[width:])
            multiply_by_upper(inverse, shared)
            multiply(others[:width], top, shared, scale=-1.0)
            multiply(others[width:], panel[width:], shared, scale=-1.0, keep=1.0)
    # and the panel's own columns of M hold nothing but the signs: D - V·(T·(Vᵀ·D))
    shared = np.ascontiguousarray(top.T * signs)
    multiply_by_upper(inverse, shared)
    multiply(own, panel, shared, scale=-1.0)
    diagonal = np.arange(width)
    own[diagonal, diagonal] += signs


def _householder(panel: Matrix) -> tuple[Matrix, Matrix]:
    """Turn draws into Householder vectors V in place; return the diagonal -sign and T of I - V·T·Vᵀ.

    T⁻¹ is the upper part of VᵀV with half of the diagonal. The diagonal is summed in float64 from the vectors as they
    are stored, so that rounding them turns the result a little but leaves it orthogonal.
    """
    width = panel.shape[1]
    diagonal = np.arange(width)
    panel[:width] = np.tril(panel[:width])
    heads = panel[diagonal, diagonal].astype(np.float64)
    squares = np.einsum("ij,ij->j", panel, panel, dtype=np.float64)
    # a vector of zeros has no direction: the reflection of the first axis stands for it
    lengths = np.where(squares == 0, 1.0, np.sqrt(squares))
    signs = np.where(heads < 0, -1.0, 1.0)
    panel[diagonal, diagonal] = heads + signs * lengths
    squares += panel[diagonal, diagonal].astype(np.float64) ** 2 - heads**2
    gram = np.zeros((width, width), panel.dtype)
    upper_gram(gram, panel)
    inverse = gram.astype(np.float64)
    inverse[diagonal, diagonal] = squares / 2
    invert_upper(inverse)
    return -signs.astype(panel.dtype), inverse.astype(panel.dtype)
