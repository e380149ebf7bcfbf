"""Matrix products in place on parts of a matrix: the BLAS and LAPACK that SciPy exports, called by address.

NumPy's `matmul` cannot add to its result, and SciPy's Python wrappers copy parts of a matrix. Both cost a pass over
memory for each product. All calls here go to one library (SciPy's): two BLAS libraries in turns fight for the cores.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from numpy.typing import NDArray

from wellbegun.errors import ArgumentError

Matrix = NDArray[Any]

LARGEST_SIZE = 2**31 - 1
"""Rows or columns that BLAS can count."""

_LETTERS = {"float32": "s", "float64": "d"}


def multiply(out: Matrix, a: Matrix, b: Matrix, *, scale: float = 1.0, keep: float = 0.0) -> None:
    """Set out to scale·a·b + keep·out; with keep = 0, what `out` held is not read.

    >>> import numpy as np
    >>> out = np.ones((2, 2))
    >>> multiply(out, np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]), keep=10.0)
    >>> out.tolist()
    [[11.0, 12.0], [13.0, 14.0]]

    Args:
        out, a, b: float32 or float64, all alike; consecutive elements along one dimension, any step along the other.
        scale, keep: factors of the product and of what `out` held.
    """
    if _by_columns(out):
        out, a, b = out.T, b.T, a.T
    (rows, columns), inner = out.shape, a.shape[1]
    if a.shape != (rows, inner) or b.shape != (inner, columns) or inner == 0:
        raise ArgumentError(f"shapes {a.shape} and {b.shape} do not multiply into {out.shape}")
    if out.size == 0:
        return
    kind = _kind(out, a, b)
    number = _number(kind)
    # BLAS counts by columns, so it sees every row-major matrix transposed: outᵀ = bᵀ·aᵀ
    _routine("blas", kind + "gemm", 13)(
        *_flags("T" if _by_columns(b) else "N", "T" if _by_columns(a) else "N"),
        *_sizes(columns, rows, inner),
        number(scale), b.ctypes.data, *_sizes(_step(b)), a.ctypes.data, *_sizes(_step(a)),
        number(keep), out.ctypes.data, *_sizes(_step(out)),
    )  # fmt: skip


def multiply_by_upper(upper: Matrix, matrix: Matrix) -> None:
    """Replace a row-major matrix by upper·matrix; what lies below the diagonal of `upper` is not read."""
    kind = _kind_by_rows(upper, matrix)
    rows, columns = matrix.shape
    _check_square(upper, rows)
    _routine("blas", kind + "trmm", 11)(
        *_flags("R", "L", "N", "N"), *_sizes(columns, rows),
        _number(kind)(1.0), upper.ctypes.data, *_sizes(_step(upper)), matrix.ctypes.data, *_sizes(_step(matrix)),
    )  # fmt: skip


def upper_gram(out: Matrix, matrix: Matrix) -> None:
    """Set the upper triangle of `out` to that of matrixᵀ·matrix, both row-major; the rest keeps what it held."""
    kind = _kind_by_rows(out, matrix)
    rows, columns = matrix.shape
    _check_square(out, columns)
    _routine("blas", kind + "syrk", 10)(
        *_flags("L", "N"), *_sizes(columns, rows),
        _number(kind)(1.0), matrix.ctypes.data, *_sizes(_step(matrix)),
        _number(kind)(0.0), out.ctypes.data, *_sizes(_step(out)),
    )  # fmt: skip


def invert_upper(matrix: Matrix) -> None:
    """Replace the upper triangle of a square row-major matrix by its inverse; the rest is neither read nor written."""
    _check_square(matrix, len(matrix))
    status = ctypes.c_int(0)
    _routine("lapack", _kind_by_rows(matrix) + "trtri", 6)(
        *_flags("L", "N"), *_sizes(len(matrix)), matrix.ctypes.data, *_sizes(_step(matrix)), ctypes.byref(status)
    )
    if status.value:
        raise ArgumentError(f"a triangular matrix with a zero at place {status.value} of its diagonal has no inverse")


@cache
def _routine(library: str, name: str, arguments: int) -> Any:
    """One Fortran routine; all its arguments are addresses. The call runs without Python's global lock."""
    from numba.extending import get_cython_function_address

    address = get_cython_function_address(f"scipy.linalg.cython_{library}", name)
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)(address)


def _by_columns(matrix: Matrix) -> bool:
    """Whether consecutive elements lie along the columns only (Fortran order)."""
    return matrix.strides[1] != matrix.itemsize and matrix.shape[1] > 1


def _step(matrix: Matrix) -> int:
    """Elements from one row (or column, in Fortran order) to the next."""
    axis = 1 if _by_columns(matrix) else 0
    if matrix.shape[axis] <= 1:
        return max(int(matrix.shape[1 - axis]), 1)
    step: int = matrix.strides[axis] // matrix.itemsize
    return step


def _kind(*matrices: Matrix) -> str:
    """BLAS's letter for the type that all the matrices have."""
    names = {matrix.dtype.name for matrix in matrices}
    if len(names) != 1 or not names <= set(_LETTERS):
        raise ArgumentError(f"matrices must all be float32 or all float64, got {sorted(names)}")
    for matrix in matrices:
        axis = 0 if _by_columns(matrix) else 1
        if matrix.shape[axis] > 1 and matrix.strides[axis] != matrix.itemsize:
            raise ArgumentError(f"elements must be consecutive along one dimension, got strides {matrix.strides}")
    return _LETTERS[names.pop()]


def _kind_by_rows(*matrices: Matrix) -> str:
    """BLAS's letter, for routines that are called for row-major matrices only."""
    if any(_by_columns(matrix) for matrix in matrices):
        raise ArgumentError(f"matrices must be row-major, got strides {[matrix.strides for matrix in matrices]}")
    return _kind(*matrices)


def _check_square(matrix: Matrix, size: int) -> None:
    if matrix.shape != (size, size):
        raise ArgumentError(f"a triangular matrix of shape {(size, size)} is needed, got {matrix.shape}")


def _number(kind: str) -> Any:
    plain = ctypes.c_float if kind == "s" else ctypes.c_double
    return lambda value: ctypes.byref(plain(value))


def _sizes(*sizes: int) -> list[Any]:
    if max(sizes) > LARGEST_SIZE:
        raise ArgumentError(f"BLAS takes matrices of up to {LARGEST_SIZE} rows and columns, got {max(sizes)}")
    return [ctypes.byref(ctypes.c_int(size)) for size in sizes]


def _flags(*flags: str) -> list[Any]:
    return [ctypes.byref(ctypes.c_char(flag.encode())) for flag in flags]
