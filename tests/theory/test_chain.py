"""Predicted second moments of signal and gradient, and their bands, against networks drawn at random."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory import Band, ChainLayer, LayerPrediction, critical, gain, moments, predict_chain

from .networks import measured_chain

QUANTITIES = [field.name for field in fields(LayerPrediction)]


def dense(width: int, weight_variance: float, activation: str, bias_variance: float = 0.0) -> ChainLayer:
    return ChainLayer(width, width, math.sqrt(weight_variance / width), math.sqrt(bias_variance), activation)


def edge(width: int, activation: str, q: float) -> ChainLayer:
    point = critical(activation, q=q)
    return dense(width, point.weight_variance, activation, point.bias_variance)


CHAINS = {
    "relu, narrow": [dense(32, 2.0, "relu")] * 8,
    "relu, torch's default": [dense(64, 1 / 3, "relu", 1 / (3 * 64))] * 10,
    "tanh, ordered": [dense(64, 0.9, "tanh", 0.05)] * 12,
    "tanh, chaotic": [dense(64, 4.0, "tanh", 0.01)] * 8,
    "tanh, edge": [edge(128, "tanh", 0.5)] * 10,
    "gelu, edge": [edge(128, "gelu", 8.0)] * 8,
    "gelu, forward gain": [dense(128, gain("gelu") ** 2, "gelu")] * 8,
    "sigmoid, Kumar": [dense(64, 12.8, "sigmoid")] * 6,
    "mixed": [
        ChainLayer(20, 100, 0.3, 0.1, "tanh"),
        ChainLayer(100, 30, 0.1, 0.1, "sigmoid"),
        ChainLayer(30, 64, 0.5, 0.0, "relu"),
        ChainLayer(64, 10, 0.1),
    ],
    "rms, relu": [replace(dense(64, 6.0, "relu"), normalisation="rms")] * 6,
    "layer, tanh": [replace(dense(64, 6.0, "tanh", 0.01), normalisation="layer")] * 6,
}


@pytest.mark.parametrize("name", CHAINS)
def test_simulation(name: str) -> None:
    chain, draws = CHAINS[name], 250
    found = np.log(measured_chain(chain, draws, seed=7, second_moment=1.7))
    for place, predicted in enumerate(predict_chain(chain, second_moment=1.7)):
        for column, quantity in enumerate(QUANTITIES):
            band, logs = getattr(predicted, quantity), found[:, place, column]
            error = 4 * max(band.log_std, float(logs.std())) / math.sqrt(draws)
            # the theory is of first order in 1 / width; a quarter of a deviation and 0.02 are left to the rest
            assert logs.mean() == pytest.approx(band.log_mean, abs=error + 0.25 * band.log_std + 0.02), (
                place,
                quantity,
            )
            if band.log_std > 1e-9:
                assert 0.7 < logs.std() / band.log_std < 1.35 or band.log_std > logs.std(), (place, quantity)
            inside = np.mean([band.contains(math.exp(value)) for value in logs])
            assert inside >= 0.965, (place, quantity, inside)


def test_limit_is_the_length_map_and_its_gradient() -> None:
    chain = [dense(50, 1.3, "tanh", 0.05)] * 5
    predicted = predict_chain(chain, second_moment=0.4, gradient=3.0)
    q, lengths = 1.3 * 0.4 + 0.05, []
    for layer in predicted:
        lengths.append(q)
        assert layer.preactivation.limit == pytest.approx(q, rel=1e-12)
        assert layer.output.limit == pytest.approx(moments("tanh", q).second, rel=1e-12)
        q = 1.3 * moments("tanh", q).second + 0.05
    gradient = 3.0
    for layer, q in zip(reversed(predicted), reversed(lengths), strict=True):
        assert layer.output_gradient.limit == pytest.approx(gradient, rel=1e-12)
        gradient *= moments("tanh", q).slope_second
        assert layer.preactivation_gradient.limit == pytest.approx(gradient, rel=1e-12)
        gradient *= 1.3


def test_he_keeps_both_and_torch_s_default_neither() -> None:
    he = predict_chain([dense(100, 2.0, "relu")] * 30, second_moment=2.0)
    assert [each.output.limit for each in he] == pytest.approx([2.0] * 30)
    assert [each.output_gradient.limit for each in he] == pytest.approx([1.0] * 30)
    default = predict_chain([dense(100, 1 / 3, "relu")] * 30)
    assert default[-1].output.limit == pytest.approx(6.0**-30)
    assert default[0].output_gradient.limit == pytest.approx(6.0**-29)


def test_wide_networks_do_not_fluctuate() -> None:
    wide = predict_chain([dense(10**9, 2.0, "relu")] * 5)
    assert wide[-1].output.log_std < 1e-3
    assert wide[-1].output.median == pytest.approx(wide[-1].output.limit, rel=1e-6)


def test_a_convolution_s_channels_are_its_units() -> None:
    convolution = ChainLayer(64 * 9, 64 * 9, math.sqrt(2 / (64 * 9)), activation="relu", units=64)
    matrix = dense(64, 2.0, "relu")
    for one, other in zip(predict_chain([convolution] * 4), predict_chain([matrix] * 4), strict=True):
        assert one.output.limit == pytest.approx(other.output.limit, rel=1e-12)
        assert one.output.log_std == pytest.approx(other.output.log_std, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fan_in": 0}, "fan_in has to be a whole number, at least 1, not 0"),
        ({"units": 2.5}, "units has to be"),
        ({"weight_std": -1.0}, "weight_std has to be a finite number, at least 0, not -1.0"),
        ({"bias_std": math.nan}, "bias_std has to be"),
        ({"normalisation": "batch"}, "'none', 'layer' or 'rms', not 'batch'"),
    ],
)
def test_bad_layers(change: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        replace(dense(8, 1.0, "tanh"), **change)  # type: ignore[arg-type]


def test_what_no_theory_holds_for() -> None:
    with pytest.raises(ArgumentError, match="at least one layer"):
        predict_chain([])
    with pytest.raises(TheoryError, match="layer 1 of 2: the second moment becomes 0"):
        predict_chain([dense(8, 0.0, "relu")] * 2)
    with pytest.raises(TheoryError, match=r"layer \d+ of 200: the signal's second moment leaves float64"):
        predict_chain([dense(64, 2000.0, "relu")] * 200)
    with pytest.raises(TheoryError, match="E f⁴ of exp leaves float64"):
        predict_chain([dense(8, 120.0, "exp")])
    with pytest.raises(TheoryError, match="E f'² of sign is 0, so no gradient"):
        predict_chain([ChainLayer(8, 8, 1.0, activation=np.sign)])


def test_bands() -> None:
    band = Band(limit=2.0, log_mean=math.log(1.5), log_std=0.2)
    low, high = band.interval(0.6826894921370859)
    assert (low, high) == pytest.approx((1.5 * math.exp(-0.2), 1.5 * math.exp(0.2)))
    assert band.median == pytest.approx(1.5)
    assert band.contains(1.5 * math.exp(0.51))
    assert not band.contains(1.5 * math.exp(0.52))
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        band.interval(1.0)


def test_convolutions() -> None:
    """Circular convolutions of 32 channels and kernel 3 over 12 positions: the channels are what fluctuates."""
    generator, channels, places, depth, draws = np.random.default_rng(6), 32, 12, 5, 120
    layer = ChainLayer(3 * channels, 3 * channels, math.sqrt(2 / (3 * channels)), activation="relu", units=channels)
    squares = np.empty((draws, depth))
    for draw in range(draws):
        signal = generator.standard_normal((channels, places))
        signal /= math.sqrt((signal**2).mean())
        for place in range(depth):
            kernel = layer.weight_std * generator.standard_normal((3, channels, channels))
            signal = sum(kernel[shift] @ np.roll(signal, 1 - shift, axis=1) for shift in range(3))
            signal = np.maximum(signal, 0.0)
            squares[draw, place] = (signal**2).mean()
    for place, predicted in enumerate(predict_chain([layer] * depth)):
        error = squares[:, place].std() / math.sqrt(draws)
        assert squares[:, place].mean() == pytest.approx(predicted.output.limit, abs=5 * error)
        inside = np.mean([predicted.output.contains(value) for value in squares[:, place]])
        assert inside >= 0.97
        # positions are averaged too, so that the spread is at most that of the channels alone
        assert np.log(squares[:, place]).std() < 1.2 * predicted.output.log_std
