"""What a chain of layers does to signal and gradient, predicted layer by layer, with the spread of a finite width."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory.activation import Activation, find_activation
from wellbegun.theory.band import Band
from wellbegun.theory.moments import Moments, moments, positive

NODES, WEIGHTS = np.array([-math.sqrt(3), 0.0, math.sqrt(3)]), np.array([1 / 6, 2 / 3, 1 / 6])
"""Three-point Gauss-Hermite rule: means over ln q are exact to its fifth power."""

NARROW = 1e-4
"""Where ln q does not vary, slopes are differences over this much of it."""

FURTHEST = 300.0
"""|ln q| at which a chain counts as vanished or exploded: fourth powers of such numbers leave float64."""


@dataclass(frozen=True)
class ChainLayer:
    """One linear or convolutional layer and the activation behind it, as the theory of chains sees it.

    >>> ChainLayer(fan_in=256, fan_out=256, weight_std=(2 / 256) ** 0.5, activation="relu").width
    256

    fan_in: how many products meet in one output. fan_out: how many gradients meet in one input. weight_std, bias_std:
    standard deviations of single entries, means zero. activation: a name, expression or callable. units: the number
    of independent outputs, None for fan_out; for a convolution its output channels. normalisation: of the layer's
    outputs before the activation, over the units of one input: "layer" or "rms" bring their second moment to 1.
    ArgumentError: a size below 1, a negative or infinite deviation, an unknown normalisation.
    """

    fan_in: int
    fan_out: int
    weight_std: float
    bias_std: float = 0.0
    activation: str | Callable[..., Any] | Activation = "identity"
    units: int | None = None
    normalisation: Literal["none", "layer", "rms"] = "none"

    def __post_init__(self) -> None:
        for name in ("fan_in", "fan_out", "units"):
            size = getattr(self, name)
            if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
                raise ArgumentError(f"{name} has to be a whole number, at least 1, not {size!r}")
        for name in ("weight_std", "bias_std"):
            deviation = getattr(self, name)
            if not 0 <= deviation < math.inf:
                raise ArgumentError(f"{name} has to be a finite number, at least 0, not {deviation!r}")
        if self.normalisation not in ("none", "layer", "rms"):
            raise ArgumentError(f"normalisation has to be 'none', 'layer' or 'rms', not {self.normalisation!r}")

    @property
    def width(self) -> int:
        """Return the number of independent outputs."""
        return self.fan_out if self.units is None else self.units

    @property
    def forward_factor(self) -> float:
        """Return fan_in * Var W, the factor on the second moment of what comes in."""
        return self.fan_in * self.weight_std**2

    @property
    def backward_factor(self) -> float:
        """Return fan_out * Var W, the factor on the second moment of the gradient."""
        return self.fan_out * self.weight_std**2


@dataclass(frozen=True)
class LayerPrediction:
    """Second moments (mean squares over the units) around one layer, for one input of a network drawn at random.

    preactivation, output: of the signal before and after the activation. preactivation_gradient, output_gradient: of
    the loss's gradient at the same places. The mean over a batch fluctuates no more than one input does, so the bands
    hold for it too.
    """

    preactivation: Band
    output: Band
    preactivation_gradient: Band
    output_gradient: Band


def predict_chain(
    layers: Sequence[ChainLayer], *, second_moment: float = 1.0, gradient: float = 1.0
) -> tuple[LayerPrediction, ...]:
    """Predict the second moments of signal and gradient at every layer of a chain.

    >>> he = ChainLayer(fan_in=128, fan_out=128, weight_std=(2 / 128) ** 0.5, activation="relu")
    >>> last = predict_chain([he] * 20)[-1]
    >>> round(last.output.limit, 6), round(last.output.median, 3)
    (1.0, 0.675)
    >>> last.output.contains(0.4), last.output.contains(0.001)
    (True, False)

    layers: from the first to the last. second_moment: mean square of the chain's input, > 0. gradient: mean square of
    the gradient at the last layer's output (behind its activation), > 0. Width enters as follows. Given the layer
    below, the units of a layer are independent and normal with one variance q, so that the next q is a mean over
    units whose relative variance is (E f⁴ / (E f²)² - 1) / width; ln q is followed through the layers by its mean and
    variance. Gradients do the same with (3 E f'⁴ / (E f'²)² - 1) / width, and follow ln q where E f'² depends on it.
    Backward weights count as independent of forward ones. All of this is for independent weights, normal or of a
    kurtosis near 3; orthogonal ones fluctuate less.
    TheoryError: no layers, an activation without moments there, or a signal that is 0 or leaves float64.
    Hanin & Nica 2020 (arXiv 1812.05994) for ReLU; Schoenholz et al. 2017 (arXiv 1611.01232) for the infinite width.
    """
    if not layers:
        raise ArgumentError("a chain needs at least one layer; give a list of wellbegun.theory.ChainLayer")
    start, last = positive("second_moment", second_moment), positive("gradient", gradient)
    steps: list[_Step] = []
    for number, layer in enumerate(layers, start=1):
        where = f"layer {number} of {len(layers)}"
        if steps:
            limit, log_q, variance = steps[-1].onward(layer, where)
        else:
            limit = layer.forward_factor * start + layer.bias_std**2
            log_q, variance = _log(limit, where), 0.0
        steps.append(_Step(layer, limit, log_q, variance, where))
    return _backward(steps, last)


class _Step:
    """ln q of one layer's outputs, what the activation makes of it, and how the next ln q follows."""

    def __init__(self, layer: ChainLayer, limit: float, log_q: float, variance: float, where: str) -> None:
        if abs(log_q) > FURTHEST or abs(math.log(limit)) > FURTHEST:
            raise TheoryError(f"{where}: the signal's second moment leaves float64 (ln q = {log_q:.4g})")
        self.layer, self.where = layer, where
        self.limit, self.log_q, self.variance = limit, log_q, variance
        self.pinned = layer.normalisation != "none"
        self.deviation = NARROW if self.pinned else max(math.sqrt(variance), NARROW)
        centre, found = 0.0 if self.pinned else log_q, find_activation(layer.activation)
        self.at = [moments(found, math.exp(centre + self.deviation * node)) for node in NODES]
        self.at_limit = moments(found, 1.0 if self.pinned else limit)
        for each in (self.at[1], self.at_limit):
            if not 0 < each.second < math.inf:
                raise TheoryError(f"{where}: E f² of {found.name} is {each.second:g}, so no signal goes on")
            if not 0 < each.slope_second < math.inf:
                raise TheoryError(f"{where}: E f'² of {found.name} is {each.slope_second:g}, so no gradient comes back")
        middle = self.at[1]
        if not max(middle.fourth, middle.slope_fourth) < math.inf:
            raise TheoryError(f"{where}: E f⁴ of {found.name} leaves float64, so no width bounds the fluctuation")
        self.signal_noise = (middle.fourth / middle.second**2 - 1) / layer.width
        self.slope_noise = (3 * middle.slope_fourth / middle.slope_second**2 - 1) / layer.width
        self.forward_slope, self.forward_noise, self.common_noise = 0.0, 0.0, 0.0

    def over(self, quantity: Callable[[Moments], float]) -> tuple[float, float]:
        """Return the mean of a function of q over the draws, and its slope in this layer's ln q (least squares)."""
        values = np.array([quantity(each) for each in self.at])
        slope = 0.0 if self.pinned else float(WEIGHTS @ (NODES * values)) / self.deviation
        return float(WEIGHTS @ values), slope

    def onward(self, layer: ChainLayer, where: str) -> tuple[float, float, float]:
        """Return the next layer's q in the limit and its ln q's mean and variance; remember what this layer adds."""
        factor, bias, middle = layer.forward_factor, layer.bias_std**2, self.at[1]
        mean, slope = self.over(lambda at: _log(factor * at.second + bias, where))
        share = factor * middle.second / (factor * middle.second + bias)
        shift, self.forward_noise = log_gamma(share**2 * self.signal_noise)
        self.forward_slope = slope
        together = middle.product_second / (middle.second * middle.slope_second) - 1
        self.common_noise = share * together / self.layer.width
        limit = factor * self.at_limit.second + bias
        return limit, mean + shift, slope**2 * self.variance + self.forward_noise

    def preactivation(self) -> Band:
        """Return the mean square of the layer's outputs: normal numbers of variance q."""
        shift, noise = log_gamma(2 / self.layer.width)
        return Band(self.limit, self.log_q + shift, math.sqrt(self.variance + noise))

    def output(self) -> Band:
        """Return the mean square behind the activation."""
        shift, noise = log_gamma(self.signal_noise)
        mean, slope = self.over(lambda at: math.log(at.second))
        return Band(self.at_limit.second, mean + shift, math.sqrt(slope**2 * self.variance + noise))


def _backward(steps: list[_Step], limit: float) -> tuple[LayerPrediction, ...]:
    """Follow the gradient from the last layer to the first.

    Its logarithm is a sum over layers of ln E f'², which depends on that layer's ln q, and of noise. `follows` is how
    much it moves with the ln q of the layer at hand, `spread` the variance that layers from here on add.
    """
    predictions: list[LayerPrediction] = []
    mean, spread, follows = math.log(limit), 0.0, 0.0
    for step in reversed(steps):
        last, width = step is steps[-1], step.layer.width
        later = spread + follows**2 * step.forward_noise
        fresh_shift, fresh = (0.0, 0.0) if last else log_gamma(2 / width)
        at_output = later + (follows * step.forward_slope) ** 2 * step.variance + fresh
        output_gradient = Band(limit, mean + fresh_shift, math.sqrt(at_output))
        # the gradient given at the end has no fluctuation of its own, which is 2 / width of the noise
        noise_shift, noise = log_gamma(step.slope_noise - 2 / width if last else step.slope_noise)
        spread = max(later + noise + 2 * follows * step.common_noise, 0.0)
        shift, slope = step.over(lambda at: math.log(at.slope_second))
        follows, limit = slope + follows * step.forward_slope, limit * step.at_limit.slope_second
        if step.pinned:  # dividing by the root of a mean square of normal numbers divides the gradient's by it too
            own_shift, own = log_gamma(2 / width)
            shift, follows, limit = shift - step.log_q - own_shift, -1.0, limit / step.limit
            spread += own
        mean += shift + noise_shift
        gradient = Band(limit, mean, math.sqrt(spread + follows**2 * step.variance))
        predictions.append(LayerPrediction(step.preactivation(), step.output(), gradient, output_gradient))
        mean += _log(step.layer.backward_factor, step.where)
        limit *= step.layer.backward_factor
    return tuple(reversed(predictions))


def log_gamma(relative_variance: float) -> tuple[float, float]:
    """Return mean and variance of ln x for a gamma-distributed x of mean 1 and this relative variance.

    >>> [round(number, 4) for number in log_gamma(0.1)]
    [-0.0508, 0.1052]

    Mean squares of many units are close to it: those of normal numbers are exactly so (chi-square).
    """
    from scipy import special

    if relative_variance <= 1e-12:
        return 0.0, 0.0
    shape = 1 / relative_variance
    return float(special.digamma(shape)) - math.log(shape), float(special.polygamma(1, shape))


def _log(second: float, where: str) -> float:
    if not 0 < second < math.inf:
        raise TheoryError(f"{where}: the second moment becomes {second:g}, so nothing more can be said")
    return math.log(second)
