"""How signal and gradient go from layer to layer in networks of some depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rate:
    """A factor per layer, geometric mean over the seeds.

    Attributes:
        value: 1 keeps the second moment, 0.5 halves it in each layer; nan where it is not defined.
        error: its standard error over the seeds; nan for one seed.
    """

    value: float
    error: float


@dataclass(frozen=True)
class DepthRate:
    """Networks of one depth at one step; the last layer, the readout, is left out.

    Attributes:
        depth: as the factory was given it.
        step: optimizer steps that were taken before.
        width: of the networks; None if the width was not swept.
        layers: number of layers that the rates are taken over.
        signal: factor of the second moment of the output, from one layer to the next.
        gradient: factor of the second moment of the gradient, from one layer back to the one before it.
        cosine: mean cosine between different inputs' outputs of the last of these layers, mean over the seeds.
    """

    depth: int
    step: int
    width: int | None
    layers: int
    signal: Rate
    gradient: Rate
    cosine: float


def rate_per_layer(first: Sequence[float], last: Sequence[float], layers: int) -> Rate:
    """Return the factor per layer that leads from the first to the last of some layers.

    The geometric mean of the ratios between neighbours, which is the root of the ratio of the ends.

    >>> rate_per_layer([1.0, 1.0], [0.25, 0.25], layers=3).value
    0.5

    Args:
        first, last: second moments, one for each seed.
        layers: number of layers, both ends included.
    """
    if layers < 2:
        return Rate(math.nan, math.nan)
    with np.errstate(divide="ignore", invalid="ignore"):  # a second moment of zero is a rate of zero
        logs = (np.log(np.asarray(last, np.float64)) - np.log(np.asarray(first, np.float64))) / (layers - 1)
        value = float(np.exp(logs.mean()))
        error = float(value * logs.std(ddof=1) / math.sqrt(len(logs))) if len(logs) > 1 else math.nan
    return Rate(value, error)
