"""The range in which a second moment of a finite network falls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from wellbegun.errors import ArgumentError


@dataclass(frozen=True)
class Band:
    """A second moment in the limit of infinite width, and where it falls in finite networks drawn at random.

    >>> band = Band(limit=1.0, log_mean=-0.01, log_std=0.1)
    >>> round(band.median, 3), band.contains(1.1), band.contains(1.5)
    (0.99, True, False)

    limit: its value at infinite width. log_mean, log_std: mean and standard deviation of its natural logarithm over
    draws of the weights. What many layers multiply is close to log-normal: most draws lie below the limit, and few
    very large ones lift the mean over draws to it.
    """

    limit: float
    log_mean: float
    log_std: float

    @property
    def median(self) -> float:
        """Return the value that half of all draws stay below: what one network should be compared with."""
        return _exp(self.log_mean)

    def interval(self, coverage: float = 0.99) -> tuple[float, float]:
        """Return the central range that a share `coverage` of all draws falls in.

        >>> low, high = Band(1.0, 0.0, 0.1).interval(0.95)
        >>> round(low, 3), round(high, 3)
        (0.822, 1.217)

        coverage: in (0, 1). ArgumentError: it is not.
        """
        if not 0 < coverage < 1:
            raise ArgumentError(f"coverage has to be a share between 0 and 1, not {coverage!r}")
        reach = NormalDist().inv_cdf(0.5 + coverage / 2) * self.log_std
        return _exp(self.log_mean - reach), _exp(self.log_mean + reach)

    def contains(self, measured: float, coverage: float = 0.99) -> bool:
        """Tell whether a measured value lies in the central range, with 1e-6 allowed for rounding."""
        low, high = self.interval(coverage)
        return low * (1 - 1e-6) <= measured <= high * (1 + 1e-6)


def _exp(logarithm: float) -> float:
    return math.inf if logarithm > 709 else math.exp(logarithm)
