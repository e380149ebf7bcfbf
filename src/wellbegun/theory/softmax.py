"""A softmax over independent normal scores: attention and the loss at the start."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from wellbegun.errors import ArgumentError

LOW, HIGH, PANELS, NODES = -12.0, 12.0, 48, 24
"""The scores' standard normal range, in panels of Gauss-Legendre nodes."""

TAIL, STEP = 60.0, 0.02
"""The outer integral runs over ln t, this far beyond the largest and the smallest sum, by the trapezoidal rule."""

STEEPEST = 12.0
"""Largest standard deviation of scores: beyond it one entry takes all."""


@dataclass(frozen=True)
class Softmax:
    """What a softmax over n independent scores N(0, std²) makes of them on average.

    cross_entropy: E log sum exp z, the loss where any entry is the right class: ln n for equal scores. entropy: E of
    -sum p ln p. participation: n E sum p², 1 for equal shares and n where one entry takes all.
    """

    entries: int
    std: float
    cross_entropy: float
    entropy: float
    participation: float


def softmax(entries: int, std: float) -> Softmax:
    """Return the exact averages of a softmax over `entries` independent normal scores.

    >>> start = softmax(10, 1.0)  # ten classes, logits of variance 1: not ln 10 + 1/2 = 2.8026
    >>> round(start.cross_entropy, 4)
    2.7289
    >>> attention = softmax(1024, 1.0)  # for many entries about e^(std²) and ln n - std² / 2
    >>> round(attention.participation, 3), round(attention.entropy, 4)
    (2.699, 6.4333)

    entries: classes, or tokens attended to, >= 2. std: of the scores, 0 to 12; for attention it is 1 with queries and
    keys of second moment 1, and sigma² * width with weights of deviation sigma behind a normalisation.
    ArgumentError: too few entries, or a deviation outside 0 to 12.
    With X the sum of exponentials, E ln X is the integral of (e^-t - E e^(-t X)) / t, and E e^(-t X) is a power of a
    one-dimensional mean; shares p come from its derivatives in the same way.
    """
    if isinstance(entries, bool) or not isinstance(entries, int) or entries < 2:
        raise ArgumentError(f"entries has to be a whole number, at least 2, not {entries!r}")
    if isinstance(std, bool) or not 0 <= std <= STEEPEST:
        raise ArgumentError(f"std has to lie between 0 and {STEEPEST:g}, not {std!r}")
    return _softmax(entries, float(std))


@functools.lru_cache(maxsize=256)
def _softmax(entries: int, std: float) -> Softmax:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    edges = np.linspace(LOW, HIGH, PANELS + 1)
    half = (edges[1] - edges[0]) / 2
    z = ((edges[1:] + edges[:-1])[:, None] / 2 + half * nodes).ravel()
    masses = np.tile(half * weights, PANELS) * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    masses /= masses.sum()
    scores = std * z
    centre = math.log(entries) + std**2 / 2  # ln of the expected sum, so that t X is about 1 near ln t = -centre
    log_t = np.arange(-centre - TAIL, -centre + TAIL + 12 * std, STEP)
    sums = np.zeros((4, log_t.size))
    for start in range(0, log_t.size, 256):
        part = slice(start, start + 256)
        scaled = log_t[part, None] + scores  # ln(t e^z)
        with np.errstate(over="ignore", under="ignore"):
            exponent = np.exp(scaled)
            killed = np.exp(-exponent)
            sums[0, part] = -np.expm1(-exponent) @ masses
            sums[1, part] = (killed * exponent) @ masses
            sums[2, part] = (killed * exponent) @ (masses * scores)
            sums[3, part] = (killed * np.where(killed > 0, exponent, 0.0) ** 2) @ masses
    with np.errstate(divide="ignore", under="ignore"):
        rest = np.exp((entries - 1) * np.log1p(-sums[0]))
        whole = np.exp(entries * np.log1p(-sums[0]))
    log_sum = float(np.sum(np.exp(-np.exp(log_t)) - whole) * STEP)
    mean_score = entries * float(np.sum(sums[2] * rest) * STEP)
    squares = entries * float(np.sum(sums[3] * rest) * STEP)
    return Softmax(entries, std, log_sum, log_sum - mean_score, entries * squares)
