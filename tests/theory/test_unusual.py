"""Unusual activations at every scale, against a quadrature that is told all kinks and all slopes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from wellbegun.errors import NoCriticalPointError, TheoryError, UnknownNameError
from wellbegun.theory import Moments, critical, find_activation, gain, moments

Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
DISTANCES = 10.0 ** np.arange(-10, 5.01, 0.25)


@dataclass(frozen=True)
class Known:
    """A function, its slope, its kinks, and smooth features that are narrow."""

    value: Function
    slope: Function
    kinks: tuple[float, ...] = ()
    features: tuple[float, ...] = ()


def truth(known: Known, q: float) -> dict[str, float]:
    """Moments on panels that end at the kinks and at all distances from every feature."""
    root = math.sqrt(q)
    around = [
        point + sign * step for point in (*known.kinks, *known.features, 0.0) for sign in (-1, 1) for step in DISTANCES
    ]
    edges = np.concatenate([np.arange(-38, 38.1, 0.25), np.array([*around, *known.kinks, *known.features]) / root])
    edges = np.unique(edges[np.abs(edges) <= 38])
    edges = edges[np.concatenate([[True], np.diff(edges) > 1e-14])]
    half = np.diff(edges)[:, None] / 2
    z = (edges[1:] + edges[:-1])[:, None] / 2 + half * NODES
    mass = half * WEIGHTS * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    with np.errstate(all="ignore"):
        f, d = known.value(root * z), known.slope(root * z)

    def mean(values: Array) -> float:
        return float(np.sum(np.where(mass > 0, mass * values, 0.0)))

    powers = {"mean": f, "second": f**2, "third": f**3, "fourth": f**4, "slope": d, "slope_second": d**2}
    powers |= {"slope_fourth": d**4, "product": f * d, "product_second": (f * d) ** 2}
    found = {name: mean(values) for name, values in powers.items()}
    return found | {"variance": mean((f - found["mean"]) ** 2)}


def close(got: Moments, expected: dict[str, float], tolerance: float) -> None:
    second, slope_second = expected["second"], expected["slope_second"]
    # moments that may cancel are held to what cancels in them
    sizes = expected | {"mean": second**0.5, "third": expected["fourth"] ** 0.75, "slope": slope_second**0.5}
    sizes["product"] = (second * slope_second) ** 0.5
    for name, value in expected.items():
        if sizes[name] > 1e-30:  # less than that is not in the values of the function
            assert getattr(got, name) == pytest.approx(value, rel=0, abs=tolerance * sizes[name]), name


def zero(x: Array) -> Array:
    return 0 * x


def between(x: Array, low: float, high: float) -> Array:
    return ((x > low) & (x < high)) * 1.0


KINKED = {
    "sign(x)": Known(np.sign, zero, (0.0,)),
    "x > 0": Known(lambda x: (x > 0) * 1.0, zero, (0.0,)),
    "clip(x, -1, 1)": Known(lambda x: np.clip(x, -1, 1), lambda x: between(x, -1, 1), (-1.0, 1.0)),
    "x * abs(x)": Known(lambda x: x * np.abs(x), lambda x: 2 * np.abs(x), (0.0,)),
    "hardswish": Known(
        lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda x: np.where(x < -3, 0.0, np.where(x > 3, 1.0, x / 3 + 0.5)),
        (-3.0, 3.0),
    ),
    "softshrink": Known(
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), lambda x: (np.abs(x) > 0.5) * 1.0, (-0.5, 0.5)
    ),
    "celu_2": Known(
        lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0) / 2)),
        lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0) / 2)),
        (0.0,),
    ),
    "relu6": Known(lambda x: np.clip(x, 0, 6), lambda x: between(x, 0, 6), (0.0, 6.0)),
    "relu(x - 3)": Known(lambda x: np.maximum(x - 3, 0), lambda x: (x > 3) * 1.0, (3.0,)),
    "clip(x, -0.1, 0.1)": Known(lambda x: np.clip(x, -0.1, 0.1), lambda x: between(x, -0.1, 0.1), (-0.1, 0.1)),
    "x + 5 * (x > 40)": Known(lambda x: x + 5 * (x > 40), lambda x: 1 + 0 * x, (40.0,)),
    "max(x, 2 * x - 50)": Known(lambda x: np.maximum(x, 2 * x - 50), lambda x: 1.0 + (x > 50), (50.0,)),
    "(x > 0.3) * (x < 0.301)": Known(lambda x: between(x, 0.3, 0.301), zero, (0.3, 0.301)),
    "max(1 - abs(x - 0.61) / 0.002, 0)": Known(
        lambda x: np.maximum(1 - np.abs(x - 0.61) / 0.002, 0),
        lambda x: -np.sign(x - 0.61) * between(x, 0.608, 0.612) / 0.002,
        (0.608, 0.61, 0.612),
    ),
    "max(x, 0) + max(x - 0.00001, 0)": Known(
        lambda x: np.maximum(x, 0) + np.maximum(x - 1e-5, 0), lambda x: (x > 0) + (x > 1e-5) * 1.0, (0.0, 1e-5)
    ),
    "exp(-1000 * abs(x - 1.7))": Known(
        lambda x: np.exp(-1e3 * np.abs(x - 1.7)),
        lambda x: -1e3 * np.sign(x - 1.7) * np.exp(-1e3 * np.abs(x - 1.7)),
        (1.7,),
    ),
    "sign(x) * log1p(abs(x))": Known(lambda x: np.sign(x) * np.log1p(np.abs(x)), lambda x: 1 / (1 + np.abs(x)), (0.0,)),
}
SMOOTH = {
    "exp(-x**2)": Known(lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "exp(-1e8 * (x - 0.61)**2)": Known(
        lambda x: np.exp(-1e8 * (x - 0.61) ** 2),
        lambda x: -2e8 * (x - 0.61) * np.exp(-1e8 * (x - 0.61) ** 2),
        features=(0.61,),
    ),
    "logsigmoid": Known(lambda x: -np.logaddexp(0, -x), lambda x: special.expit(-x)),
    "x**2": Known(lambda x: x * x, lambda x: 2 * x),
    "x * tanh(x)": Known(lambda x: x * np.tanh(x), lambda x: np.tanh(x) + x / np.cosh(np.clip(x, -300, 300)) ** 2),
    "tanh(50 * (x - 1.1))": Known(
        lambda x: np.tanh(50 * (x - 1.1)),
        lambda x: 50 / np.cosh(np.clip(50 * (x - 1.1), -300, 300)) ** 2,
        features=(1.1,),
    ),
    "x / sqrt(1 + x**2)": Known(lambda x: x / np.sqrt(1 + x * x), lambda x: (1 + x * x) ** -1.5),
}


@pytest.mark.parametrize("q", [1e-6, 1e-2, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("text", KINKED)
def test_kinks_and_jumps(text: str, q: float) -> None:
    close(moments(text, q), truth(KINKED[text], q), 1e-7)


@pytest.mark.parametrize("q", [1e-6, 1e-2, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("text", SMOOTH)
def test_smooth_ones(text: str, q: float) -> None:
    if text.startswith("tanh(50") and q < 0.1:
        pytest.skip("its slope there, 1e-26 and less, is lost in the rounding of its value, -1")
    close(moments(text, q), truth(SMOOTH[text], q), 1e-9)


@pytest.mark.parametrize("q", [1e-6, 0.3, 1e4])
def test_oscillations_in_closed_form(q: float) -> None:
    fast = moments("sin(30 * x)", q)
    assert fast.second == pytest.approx(-math.expm1(-1800 * q) / 2, rel=1e-9)
    assert fast.slope_second == pytest.approx(450 * (1 + math.exp(-1800 * q)), rel=1e-9)
    snake = moments("x + sin(x)**2", q)
    assert snake.mean == pytest.approx(-math.expm1(-2 * q) / 2, rel=1e-9)
    fourth = (3 - 4 * math.exp(-2 * q) + math.exp(-8 * q)) / 8  # of sin; x sin² averages to 0
    assert snake.second == pytest.approx(q + fourth, rel=1e-9)
    assert snake.slope_second == pytest.approx(1.5 - math.exp(-8 * q) / 2, rel=1e-9)  # (1 + sin 2x)²


@pytest.mark.parametrize("q", [1e-2, 1.0, 100.0])
def test_the_same_from_callables(q: float) -> None:
    torch = pytest.importorskip("torch")
    forms = {
        "clip(x, -0.1, 0.1)": (lambda x: np.clip(x, -0.1, 0.1), lambda t: t.clamp(-0.1, 0.1)),
        "hardswish": (torch.nn.Hardswish(), lambda t: t * torch.nn.functional.relu6(t + 3) / 6),
        "relu(x - 3)": (lambda x: max(x - 3, 0.0), lambda t: torch.relu(t - 3)),
        "sign(x)": (np.sign, torch.sign),
        "exp(-x**2)": (lambda x: math.exp(-x * x), lambda t: torch.exp(-t * t)),
    }
    for text, functions in forms.items():
        expected = truth({**KINKED, **SMOOTH}[text], q)
        for function in functions:
            close(moments(function, q), expected, 1e-7)


def power(exponent: float, order: int, q: float) -> float:
    """E |d/dx |x|^a|^order in closed form; infinity where it has none."""
    at = (exponent - 1) * order
    if at <= -1:
        return math.inf
    return exponent**order * (2 * q) ** (at / 2) * math.gamma((at + 1) / 2) / math.sqrt(math.pi)


@pytest.mark.parametrize("q", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("exponent", [0.5, 0.6, 0.75, 0.9, 1.5])
def test_slopes_that_are_infinite_at_a_point(exponent: float, q: float) -> None:
    """They were given a finite second moment where it is infinite: that of the panels above rounding."""
    got = moments(f"abs(x)**{exponent}", q)
    assert got.slope_second == pytest.approx(power(exponent, 2, q), rel=1e-7)
    assert got.slope_fourth == pytest.approx(power(exponent, 4, q), rel=1e-7)


def test_values_that_are_infinite_at_a_point() -> None:
    for text in ("1 / x", "tan(x)", "1 / (x - 0.4)"):
        got = moments(text)
        assert (got.second, got.fourth, got.slope_second) == (math.inf,) * 3
        with pytest.raises(TheoryError, match="E f² is inf"):
            gain(text)
    logarithm = moments("log(abs(x))")  # of a chi distribution of one degree
    assert (logarithm.variance, logarithm.slope_second) == (pytest.approx(math.pi**2 / 8, rel=1e-9), math.inf)
    root = moments("abs(x)**-0.25")
    assert root.second == pytest.approx(2**-0.25 * math.gamma(0.25) / math.sqrt(math.pi), rel=1e-9)
    assert root.fourth == math.inf


def test_no_gain_and_no_critical_point_at_an_infinite_slope() -> None:
    for text in ("sign(x) * sqrt(abs(x))", "cbrt(x)", "abs(x - 0.5)**0.5 + x"):
        assert moments(text).slope_second == math.inf
        assert gain(text) > 0
        with pytest.raises(TheoryError, match="E f'² is inf"):
            gain(text, kind="backward")
        with pytest.raises(NoCriticalPointError, match="E f'² is inf"):
            critical(text)
    assert moments("log(abs(x) + 1e-6)").slope_second == pytest.approx(math.sqrt(2 / math.pi) * 1e6, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "text"), [("sign", "sign(x)"), ("step", "x > 0"), ("heaviside", "x > 0"), ("floor", "floor(x)")]
)
def test_names_of_functions_are_names_of_activations(name: str, text: str) -> None:
    assert moments(name).second == moments(text).second
    assert find_activation(name).name == f"{name}(x)"


def test_functions_of_two_numbers_are_no_activations() -> None:
    for name in ("maximum", "where", "hypot"):
        with pytest.raises(UnknownNameError, match="no activation is called"):
            find_activation(name)
