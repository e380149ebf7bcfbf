"""Networks of NumPy, drawn and run forward and backward, that the theory is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wellbegun.theory import ChainLayer, find_activation

Array = npt.NDArray[np.float64]
STEP = 1e-6


def slopes(layer: ChainLayer, u: Array) -> Array:
    function = find_activation(layer.activation).function
    return (function(u + STEP) - function(u - STEP)) / (2 * STEP)


def measured_chain(layers: Sequence[ChainLayer], draws: int, seed: int, *, second_moment: float = 1.0) -> Array:
    """Return (draws, layers, 4) mean squares in the order of LayerPrediction's fields; fully connected layers.

    Every draw has its own weights and input; the gradient at the last output is random, of mean square 1.
    """
    generator = np.random.default_rng(seed)
    found = np.zeros((draws, len(layers), 4))
    for draw in range(draws):
        signal = unit_mean_square(generator.standard_normal(layers[0].fan_in)) * second_moment**0.5
        weights, raws, inputs = [], [], []
        for place, layer in enumerate(layers):
            weights.append(layer.weight_std * generator.standard_normal((layer.width, layer.fan_in)))
            raw = weights[-1] @ signal + layer.bias_std * generator.standard_normal(layer.width)
            raws.append(raw)
            inputs.append(normalised(layer, raw))
            signal = find_activation(layer.activation).function(inputs[-1])
            found[draw, place, :2] = mean_square(raw), mean_square(signal)
        gradient = unit_mean_square(generator.standard_normal(signal.size))
        for place in range(len(layers) - 1, -1, -1):
            behind = gradient * slopes(layers[place], inputs[place])
            behind = through_normalisation(layers[place], raws[place], inputs[place], behind)
            found[draw, place, 2:] = mean_square(behind), mean_square(gradient)
            gradient = weights[place].T @ behind
    return found


def normalised(layer: ChainLayer, raw: Array) -> Array:
    if layer.normalisation == "layer":
        return (raw - raw.mean()) / raw.std()
    return raw / mean_square(raw) ** 0.5 if layer.normalisation == "rms" else raw


def through_normalisation(layer: ChainLayer, raw: Array, after: Array, gradient: Array) -> Array:
    if layer.normalisation == "layer":
        return (gradient - gradient.mean() - after * (gradient * after).mean()) / raw.std()
    if layer.normalisation == "rms":
        return (gradient - after * (gradient * after).mean()) / mean_square(raw) ** 0.5
    return gradient


def mean_square(values: Array) -> float:
    return float(np.mean(values**2))


def unit_mean_square(values: Array) -> Array:
    return values / mean_square(values) ** 0.5
