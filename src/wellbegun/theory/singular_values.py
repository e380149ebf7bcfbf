"""Singular values of one random weight, of a matrix or of a convolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wellbegun.errors import ArgumentError
from wellbegun.theory.moments import positive

Array = npt.NDArray[np.float64]

TRACY_WIDOM_MEAN, TRACY_WIDOM_STD = -1.2065335745820, 1.2679801
"""Of the largest eigenvalue of real covariance matrices, centred and scaled (Johnstone 2001; Bornemann 2010)."""

SMALLEST = 8
"""Sizes below this are too small for the law of the largest eigenvalue."""


@dataclass(frozen=True)
class SingularValues:
    """Singular values of a weight of independent entries of one variance.

    low, high: edges of their distribution in the limit of large sizes, std * |sqrt(out) - sqrt(in)| and
    std * (sqrt(out) + sqrt(in)), times sqrt(taps). norm, norm_std: mean and deviation over draws of the largest of a
    Gaussian matrix of these sizes, a little below `high`; nan for a convolution and for sizes below 8.
    """

    outputs: int
    inputs: int
    std: float
    taps: int
    low: float
    high: float
    norm: float
    norm_std: float

    def density(self, values: npt.ArrayLike) -> Array:
        """Return the density of the singular values that are not 0 for want of rank.

        >>> square = singular_values(100, 100, std=0.1)
        >>> [round(float(p), 6) for p in square.density([0.0, 1.0, 2.1])]  # a quarter circle
        [0.63662, 0.551329, 0.0]

        values: at least 0. (Marchenko & Pastur 1967, for the roots of the eigenvalues.)
        """
        s = np.asarray(values, dtype=np.float64)
        inside = np.maximum((self.high**2 - s**2) * (s**2 - self.low**2), 0.0)
        scale = math.pi * self.std**2 * self.taps * min(self.outputs, self.inputs)
        if self.low == 0:
            return np.asarray(np.sqrt(np.maximum(self.high**2 - s**2, 0.0)) / scale, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(inside > 0, np.sqrt(inside) / (scale * s), 0.0), dtype=np.float64)


def singular_values(outputs: int, inputs: int, *, std: float, taps: int = 1) -> SingularValues:
    """Return where the singular values of a random weight lie.

    >>> found = singular_values(1024, 256, std=1.0)
    >>> found.low, found.high, round(found.norm, 2), round(found.norm_std, 2)
    (16.0, 48.0, 47.7, 0.29)
    >>> he = singular_values(256, 256, std=(2 / 256) ** 0.5)
    >>> round(he.high, 6)  # He's weights stretch one direction by 2 sqrt(2), whatever the width
    2.828427

    For any independent entries of mean 0: Gaussian, uniform, truncated (the norm of uniform ones is another 0.3% below
    at 1,024 by 256, 2% at 16 by 16). All singular values of orthogonal weights are their gain. A convolution with
    circular padding has one matrix for each frequency, whose entries are sums over the kernel's taps; its edges are
    those of all frequencies together.

    outputs, inputs: rows and columns; channels of a convolution (of one group). std: of the entries, > 0. taps: places
    of the kernel, 9 for 3 by 3. ArgumentError: a size below 1, a std that is not positive.
    Marchenko & Pastur 1967; Johnstone 2001 and Ma 2012 for the largest at finite sizes; Sedghi, Gupta & Long 2019
    (arXiv 1805.10408) for convolutions.
    """
    for name, size in (("outputs", outputs), ("inputs", inputs), ("taps", taps)):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ArgumentError(f"{name} has to be a whole number, at least 1, not {size!r}")
    std = positive("std", std)
    scale = std * math.sqrt(taps)
    rows, columns = math.sqrt(outputs), math.sqrt(inputs)
    inner = math.sqrt(outputs - 0.5), math.sqrt(inputs - 0.5)
    centre, width = sum(inner) ** 2, sum(inner) * (1 / inner[0] + 1 / inner[1]) ** (1 / 3)
    known = taps == 1 and min(outputs, inputs) >= SMALLEST
    norm = math.sqrt(centre + TRACY_WIDOM_MEAN * width) if known else math.nan
    spread = TRACY_WIDOM_STD * width / (2 * norm) if known else math.nan
    return SingularValues(
        outputs,
        inputs,
        std,
        taps,
        low=scale * abs(rows - columns),
        high=scale * (rows + columns),
        norm=std * norm,
        norm_std=std * spread,
    )
