"""Random orthogonal matrices, exactly Haar distributed, from Householder vectors drawn directly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wellbegun.sampler.draws import draw_householder
from wellbegun.sampler.stream import Stream

PANEL = 64
"""Reflections applied together in one matrix product (compact WY form)."""


def orthogonal(stream: Stream, rows: int, columns: int) -> NDArray[np.float32]:
    """Return a (semi-)orthogonal matrix drawn from the Haar measure.

    Rows are orthonormal if there are no more rows than columns, else columns are. In the QR factorisation of a
    Gaussian matrix by Householder reflections, the k-th reflection is that of a fresh Gaussian vector of length
    rows - k. Drawing those vectors directly gives the same law and leaves out the factorisation.

    >>> q = orthogonal(Stream.of(0, "w"), 3, 5)
    >>> bool(np.allclose(q @ q.T, np.eye(3), atol=1e-6))
    True

    Args:
        stream: where the numbers come from.
        rows, columns: shape of the result, float32. Arithmetic is float64 and uses the BLAS behind NumPy, so the
            bits may differ between machines, by 1e-6 at most.

    Source: Stewart (1980), "The efficient generation of random orthogonal matrices with an application to condition
    estimators"; compact WY form: Schreiber and Van Loan (1989).
    """
    long, short = max(rows, columns), min(rows, columns)
    if short == 0:
        return np.zeros((rows, columns), np.float32)
    draws = np.empty(long * short, np.float32)
    draw_householder(draws, stream, 0)
    vectors = np.tril(draws.reshape(long, short)).astype(np.float64)
    signs = np.where(np.diagonal(vectors) < 0, -1.0, 1.0)
    diagonal = np.arange(short)
    vectors[diagonal, diagonal] += signs * np.linalg.norm(vectors, axis=0)
    vectors /= np.linalg.norm(vectors, axis=0)
    matrix = np.zeros((long, short))
    matrix[diagonal, diagonal] = -signs
    for first in reversed(range(0, short, PANEL)):
        panel = vectors[first:, first : first + PANEL]
        # I - V·T·Vᵀ is the product of the panel's reflections, where T⁻¹ = I/2 + strict upper part of VᵀV
        inverse_t = np.triu(panel.T @ panel, 1) + 0.5 * np.eye(panel.shape[1])
        block = matrix[first:, first:]
        block -= panel @ np.linalg.solve(inverse_t, panel.T @ block)
    result = matrix if rows >= columns else matrix.T
    return np.ascontiguousarray(result, np.float32)
