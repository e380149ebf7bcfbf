"""ReLU units that are off for every input, and ReLU networks that are off altogether."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from wellbegun.errors import ArgumentError
from wellbegun.theory.quadrature import gaussian_sample

Array = npt.NDArray[np.float64]


def share_off(rho: float, inputs: int) -> float:
    """Return the share of ReLU units that are off for all of several inputs, in a wide layer at the start.

    >>> round(share_off(0.0, 2), 6), round(share_off(0.5, 9), 6), share_off(1.0, 1000)  # 1/4, 1/10, 1/2
    (0.25, 0.1, 0.5)
    >>> round(share_off(0.972, 256), 2)  # 256 inputs behind 30 layers with He's weights
    0.32

    It is the chance that `inputs` standard normal numbers, any two with correlation rho, are all below 0. A unit that
    is off for a whole batch gets no gradient from it. With weights of mean 0 and no biases there is one cause: inputs
    that have become alike.

    rho: correlation of the pre-activations of any two inputs; -1 to 1 for two inputs, -1/2 to 1 for three, 0 to 1 for
    more. inputs: how many, >= 1.
    Two: 1/2 - arccos(rho) / (2 pi); three: 1/2 - 3 arccos(rho) / (4 pi); more, by what they share: with a =
    sqrt(rho / (1 - rho)), E Phi(a t)^inputs over t ~ N(0, 1) (Gupta 1963).
    ArgumentError: a correlation that so many numbers cannot have, or negative ones among more than three.
    """
    if isinstance(inputs, bool) or not isinstance(inputs, int) or inputs < 1:
        raise ArgumentError(f"inputs has to be a whole number, at least 1, not {inputs!r}")
    lowest = {1: -1.0, 2: -1.0, 3: -0.5}.get(inputs, 0.0)
    if isinstance(rho, bool) or not isinstance(rho, (int, float)) or not lowest <= rho <= 1:
        more = "; below 0 there is a formula for up to three" if inputs > 3 else ""
        raise ArgumentError(f"for {inputs} inputs, rho has to lie between {lowest:g} and 1, not {rho!r}{more}")
    return _share_off(float(rho), inputs)


@functools.lru_cache(maxsize=1024)
def _share_off(rho: float, inputs: int) -> float:
    if rho == 1 or inputs == 1:
        return 0.5
    if rho == 0:
        return 0.5**inputs
    if inputs <= 3:
        return max(0.5 - inputs * math.acos(rho) / (4 * math.pi), 0.0)
    from scipy import special

    steepness = math.sqrt(rho / (1 - rho))

    def all_off(shared: Array) -> Array:
        return np.asarray(np.exp(inputs * special.log_ndtr(steepness * shared)), dtype=np.float64)

    return gaussian_sample(all_off, (), 1.0).mean(1)


def born_dead(widths: Sequence[int]) -> float:
    """Return the probability that a ReLU network lets nothing of an input through, before it has learnt anything.

    >>> round(born_dead([2] * 10), 4)  # ten layers of two units
    0.9437
    >>> born_dead([64] * 100) < 1e-17
    True

    For weights that are symmetric about 0, and no biases, each unit is off for a given input with probability 1/2, and
    a layer with all units off ends the signal: 1 - product of (1 - 2^-n) over the widths n. For a network to be
    constant over all inputs, "born dead", this is the most that the probability can be, with symmetric biases too.

    widths: units of each ReLU layer, >= 1, in any order.
    ArgumentError: no layer, or a width below 1.
    Lu, Shin, Su & Karniadakis 2019 (arXiv 1903.06733).
    """
    if not isinstance(widths, Iterable):
        raise ArgumentError(f"widths have to be a list of whole numbers, one for each layer, not {widths!r}")
    sizes = tuple(widths)
    wrong = [width for width in sizes if isinstance(width, bool) or not isinstance(width, int) or width < 1]
    if not sizes or wrong:
        what = f"not {wrong[0]!r}" if wrong else "of at least one layer"
        raise ArgumentError(f"widths have to be whole numbers, at least 1, {what}")
    return -math.expm1(sum(math.log1p(-(0.5**width)) for width in sizes))
