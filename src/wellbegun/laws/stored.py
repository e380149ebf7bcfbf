"""A constant array: numbers that were computed or measured once and are kept as they are."""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.initializer import Floats, Law, scale
from wellbegun.sampler import WHOLE, Stream

SHOWN = 16
"""Numbers that a repr shows; a longer array is named by its shape and hash."""

_FLOATS = ("float32", "float64")
_COMPLEX = ("complex64", "complex128")
_DTYPES = (*_FLOATS, *_COMPLEX, *WHOLE)


@dataclass(frozen=True, repr=False, eq=False)
class Stored(Law):
    """An array of given numbers: a computed table, statistics of other weights, a tensor of a checkpoint.

    >>> Stored([[1.0, 0.5]])
    Stored(values=[[1.0, 0.5]])
    >>> Stored([[1.0, 0.5]]) == Stored(np.array([[1.0, 0.5]], np.float32))
    True

    Two are equal if shape, dtype and every bit of the numbers are.

    Args:
        values: a NumPy array of float32, float64, complex numbers, whole numbers or flags, which is copied, or nested
            lists of numbers.
        dtype: "float32" or "float64", to convert values of another type (each number rounded once). Left out: the
            array's own, or float32 for lists.
    """

    values: NDArray[Any]
    dtype: str | None = None
    structured = True

    def __post_init__(self) -> None:
        given = _array(self.values)
        others = _COMPLEX if given.dtype.kind == "c" else _FLOATS
        if self.dtype is not None and self.dtype not in (*others, given.dtype.name):
            raise ArgumentError(f"dtype must be 'float32' or 'float64', or the array's own, got {self.dtype!r}")
        dtype = self.dtype or (given.dtype.name if isinstance(self.values, np.ndarray) else "float32")
        if dtype not in _DTYPES:
            raise ArgumentError(
                f"values must be of float32, float64, complex or whole numbers, got {dtype}; convert with "
                "dtype='float32'"
            )
        with np.errstate(over="ignore"):  # what overflows is found below
            little = given.astype(np.dtype(dtype).newbyteorder("<"))
        bad = np.isnan(little) if little.dtype.kind in "fc" else np.zeros(little.shape, bool)
        if given.dtype.kind in "fc":
            bad |= np.isinf(little) & ~np.isinf(given)  # a mask's infinities are meant, an overflow is not
        if bad.any():
            raise ArgumentError(f"values must be finite {dtype} numbers, got {_first_bad(little, bad)}")
        # over bytes, which nobody can make writable again
        kept = np.frombuffer(little.tobytes(), little.dtype).reshape(given.shape)
        object.__setattr__(self, "values", kept)
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "_hash", hashlib.sha256(little.tobytes()).hexdigest())

    @property
    def sha256(self) -> str:
        """SHA-256 of the numbers' bytes, row-major and little-endian."""
        return str(self.__dict__["_hash"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stored) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[Any, ...]:
        return Stored, (self.values, self.dtype)

    def __repr__(self) -> str:
        if self.values.size > SHOWN or (self.values.size == 0 and self.values.ndim != 1):
            return f"Stored(shape={self.values.shape}, dtype={self.dtype!r}, sha256='{self.sha256[:16]}...')"
        if self.dtype in WHOLE or self.dtype in _COMPLEX:
            return f"Stored(values=numpy.array({_text(self.values)}, {self.dtype!r}))"
        dtype = f", dtype={self.dtype!r}" if self.dtype != "float32" else ""
        return f"Stored(values={_text(self.values)}{dtype})"

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError unless the tensor has the shape of the numbers."""
        if tuple(shape) != self.values.shape:
            raise ArgumentError(f"{self!r} holds numbers of shape {self.values.shape}, the tensor has {tuple(shape)}")

    def block(
        self,
        stream: Stream,  # noqa: ARG002
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,  # noqa: ARG002
        out: NDArray[Any] | None = None,  # noqa: ARG002
    ) -> NDArray[Any]:
        """Return the numbers, read-only, without a copy where they have this dtype."""
        self.check_shape(shape)
        return self.values.astype(dtype, copy=False)

    def reach(self) -> float:
        """The largest magnitude among the numbers."""
        if self.values.size == 0:
            return 0.0
        if self.values.dtype.kind == "c":
            return max(float(np.abs(part).max()) for part in (self.values.real, self.values.imag))
        return max(abs(float(edge)) for edge in (self.values.min(), self.values.max()))

    def scaled(self, factor: float) -> Law:
        """The numbers times the factor, rounded once."""
        exact = np.complex128 if self.values.dtype.kind == "c" else np.float64
        return Stored(self.values.astype(exact) * scale(factor), self.dtype)

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:  # noqa: ARG002
        """Mean and standard deviation of the numbers, summed in float64; nan where a mask holds infinities."""
        if self.values.size == 0:
            return 0.0, 0.0
        if self.values.dtype.kind in "fc" and not np.isfinite(self.values).all():
            return math.nan, math.nan
        if self.values.dtype.kind == "c":  # the real part of the mean; E|x - mean|² counts both parts
            mean = self.values.mean(dtype=np.complex128)
            return float(mean.real), math.sqrt(float(np.mean(np.abs(self.values - mean) ** 2)))
        return float(self.values.mean(dtype=np.float64)), float(self.values.std(dtype=np.float64))

    def record(self) -> dict[str, Any]:
        """Return shape, dtype, hash and the bytes themselves as text."""
        text = base64.b64encode(self.values.tobytes()).decode("ascii")
        return {"shape": list(self.values.shape), "dtype": self.dtype, "sha256": self.sha256, "base64": text}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Stored:
        """Make the law that `record` described.

        Raises:
            ArgumentError: something is missing or of the wrong kind, or the bytes do not have the hash.
        """
        wanted = ["base64", "dtype", "sha256", "shape"]
        if sorted(record) != wanted:
            raise ArgumentError(f"stored values have the fields {wanted}, got {sorted(record)}")
        shape, dtype, text = record["shape"], record["dtype"], record["base64"]
        sizes = [size for size in shape if _is_size(size)] if isinstance(shape, list) else None
        if sizes is None or len(sizes) != len(shape):
            raise ArgumentError(f"shape must be a list of sizes, got {shape!r}")
        if dtype not in _DTYPES:
            raise ArgumentError(f"dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}")
        try:
            data = base64.b64decode(text, validate=True)
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"base64 is damaged: {error}") from None
        kind = np.dtype(dtype).newbyteorder("<")
        if len(data) != math.prod(sizes) * kind.itemsize:
            raise ArgumentError(f"base64 holds {len(data)} bytes, which is not {dtype} of shape {shape}")
        if hashlib.sha256(data).hexdigest() != record["sha256"]:
            raise ArgumentError("the stored bytes do not match their sha256: they were changed or damaged")
        return cls(np.frombuffer(data, kind).reshape(sizes))

    def _identity(self) -> tuple[object, ...]:
        return self.values.shape, self.dtype, self.sha256


def _array(values: object) -> NDArray[Any]:
    """Return the values as an array of numbers, not yet rounded."""
    if not isinstance(values, (np.ndarray, list, tuple, int, float)):
        raise ArgumentError(f"values must be a NumPy array or lists of numbers, got {type(values).__name__}")
    try:
        array = np.asarray(values)
    except ValueError:
        raise ArgumentError("values must be lists of equal lengths, or a NumPy array") from None
    if array.size == 0 and not isinstance(values, np.ndarray):
        array = array.astype(np.float32)
    if array.dtype.kind not in ("biufc" if isinstance(values, np.ndarray) else "iuf"):
        raise ArgumentError(f"values must be numbers, got an array of {array.dtype}")
    return array


def _is_size(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size >= 0


def _first_bad(values: NDArray[Any], bad: NDArray[Any]) -> str:
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{values[place]} at {place}"


def _text(values: NDArray[Any]) -> str:
    """Nested lists of the shortest texts that give the same numbers back."""
    return f"[{', '.join(map(_text, values))}]" if values.ndim else str(values[()])
