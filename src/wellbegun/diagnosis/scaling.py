"""How a layer's sizes go with the width of the network: slopes between logarithms, and which of them are too steep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SURE = 0.975
"""A slope counts as too steep when it is so with this confidence, on one side."""

READOUT_GROWS = 0.25
"""Slope from which on a readout that does not start at zero counts as growing.

Under muP its start falls like width^-1/2, while the first steps make it the same at every width (Yang et al. 2022,
table 8); the mixture of both has no slope of its own. What is wrong grows like width^1/2 or more.
"""


@dataclass(frozen=True)
class Slope:
    """Exponent of a power law: of y ~ x^value.

    Attributes:
        value: least squares between the logarithms; nan where a value is zero, infinite or not a number.
        error: its standard error, from the scatter about the line; nan for fewer than three points.
    """

    value: float
    error: float


@dataclass(frozen=True)
class Scaling:
    """One layer at one step, over the widths.

    Attributes:
        layer: as the points name it.
        step: optimizer steps that were taken before.
        depth: of the network; None if the depth was not swept.
        readout: whether it is the network's last layer, and its number of outputs does not go with the width.
        starts_at_zero: whether its weight is zero throughout at step 0.
        size: how the root mean square of its output goes with the width.
        gradient: how the root mean square of the loss's gradient with respect to its output does.
        sizes: root mean square of its output at each width, geometric mean over the seeds.
        gradients: root mean square of the gradient at each width, geometric mean over the seeds.
        cosines: mean cosine between its outputs for different inputs at each width, mean over the seeds.
        fault: what is wrong, in words; "" if nothing is.
        doubt: why nothing can be said, in words; "" if the slope is clear.
    """

    layer: str
    step: int
    depth: int | None
    readout: bool
    starts_at_zero: bool
    size: Slope
    gradient: Slope
    sizes: tuple[float, ...]
    gradients: tuple[float, ...]
    cosines: tuple[float, ...]
    fault: str = ""
    doubt: str = ""


def loglog_slope(x: Sequence[float], y: Sequence[float]) -> Slope:
    """Fit a power law by least squares between logarithms.

    >>> round(loglog_slope([128, 256, 512], [3.0, 6.0, 12.0]).value, 6)
    1.0

    Args:
        x: positive; at least two different values.
        y: as many values.
    """
    values = np.asarray(y, np.float64)
    if not (np.isfinite(values).all() and (values > 0).all()):
        return Slope(math.nan, math.nan)
    across, up = np.log(np.asarray(x, np.float64)), np.log(values)
    across -= across.mean()
    up -= up.mean()
    spread = float(across @ across)
    value = float(across @ up) / spread
    if len(values) < 3:
        return Slope(value, math.nan)
    rest = up - value * across
    return Slope(value, math.sqrt(float(rest @ rest) / (len(values) - 2) / spread))


def judge_sizes(
    widths: Sequence[int], sizes: Sequence[float], slope: Slope, tolerance: float, *, mixed: bool
) -> tuple[str, str]:
    """Return what is wrong with a layer's sizes over the widths, and what is in doubt; "" for nothing.

    Args:
        widths, sizes: of every run.
        slope: fitted to them.
        tolerance: largest slope, up or down, that counts as none.
        mixed: whether this is a readout that does not start at zero: it may fall, see `READOUT_GROWS`.
    """
    bad = sorted({width for width, size in zip(widths, sizes, strict=True) if not math.isfinite(size)})
    if bad:
        return f"infinite or not a number at width {_listed(bad)}", ""
    zero = sorted({width for width, size in zip(widths, sizes, strict=True) if size == 0})
    if zero:
        # zero at every width is how a readout or a residual writer may well start
        return ("" if set(zero) == set(widths) else f"zero at width {_listed(zero)}, and not at every width"), ""
    beyond = slope.value - max(tolerance, READOUT_GROWS) if mixed else abs(slope.value) - tolerance
    if beyond <= 0:
        return "", ""
    way = "grows" if slope.value > 0 else "falls"
    words = f"{way} like width^{slope.value:.2f}"
    from scipy.special import stdtrit

    points = len(sizes)
    if points < 3 or beyond > float(stdtrit(points - 2, SURE)) * slope.error:
        return words, ""
    return "", f"{words}, give or take {slope.error:.2f}"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)
