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


def orthogonal(
    stream: Stream, rows: int, columns: int, dtype: Any = np.float32, start: int = 0, out: Matrix | None = None
) -> Matrix:
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
        out: row-major array of this shape and dtype to make the matrix in, and to return; a new one if left out.

    Memory: the result is made where the draws were. Beside it there are two panels: 256 columns and 256 rows of it.

    Source: Stewart (1980), "The efficient generation of random orthogonal matrices with an application to condition
    estimators"; compact WY form: Schreiber and Van Loan (1989).
    """
    long, short = max(rows, columns), min(rows, columns)
    if long > LARGEST_SIZE:
        raise ArgumentError(f"an orthogonal matrix has up to {LARGEST_SIZE} rows and columns, not {rows} and {columns}")
    result = np.empty((rows, columns), dtype) if out is None else out
    if result.shape != (rows, columns) or result.dtype != dtype or not result.flags.c_contiguous:
        raise ArgumentError(f"out must be row-major, {np.dtype(dtype)} and of shape {(rows, columns)}")
    matrix = result if rows >= columns else result.T
    _draw(matrix, stream, start)
    space = np.empty(PANEL * short, result.dtype)
    for first in reversed(range(0, short, PANEL)):
        _reflect(matrix[first:, first:], min(PANEL, short - first), space)
    return result


def _draw(matrix: Matrix, stream: Stream, start: int) -> None:
    """Write the draws, element i·short + k at (i, k)."""
    long, short = matrix.shape
    if matrix.dtype == np.float32 and matrix.flags.c_contiguous:
        draw_householder(matrix.reshape(-1), stream, start)
        return
    together = max(CHUNK // max(short, 1), 1)
    draws = np.empty((min(together, long), short), np.float32)
    for first in range(0, long, together):
        part = draws[: long - first]
        draw_householder(part.reshape(-1), stream, start + first * short)
        matrix[first : first + together] = part


def _reflect(block: Matrix, width: int, space: Matrix) -> None:
    """Apply the reflections of the first `width` columns of a block.

    Those columns hold draws (their lower triangle), the others draws in their first `width` rows and, below, the
    product M of all later reflections and the signs. Afterwards the whole block is such a product.
    """
    panel = np.array(block[:, :width], order="C")  # a copy: the block is overwritten
    signs, inverse = _householder(panel)
    # with [[D, 0], [0, M]] for the block, D being the diagonal of signs: block - V·(T·(Vᵀ·block))
    shared = space[: block.shape[1] * width].reshape(width, -1)
    shared[:, :width] = panel[:width].T * signs
    if block.shape[1] > width:
        multiply(shared[:, width:], panel[width:].T, block[width:, width:])
        block[:width, width:] = 0
    multiply_by_upper(inverse, shared)
    block[:, :width] = 0
    diagonal = np.arange(width)
    block[diagonal, diagonal] = signs
    multiply(block, panel, shared, scale=-1.0, keep=1.0)


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
    _invert(inverse)
    return -signs.astype(panel.dtype), inverse.astype(panel.dtype)


def _invert(upper: Matrix) -> None:
    """Invert an upper triangular matrix in place: [[A, B], [0, C]]⁻¹ = [[A⁻¹, -A⁻¹·B·C⁻¹], [0, C⁻¹]].

    The halves are so small that LAPACK leaves its threads asleep: waking them costs more than the work.
    """
    half = len(upper) // 2
    if len(upper) <= PANEL // 2:
        invert_upper(upper)
        return
    first, corner, second = upper[:half, :half], upper[:half, half:], upper[half:, half:]
    invert_upper(first)
    invert_upper(second)
    product = np.empty_like(corner)
    multiply(product, corner, second)
    multiply(corner, first, product, scale=-1.0)
