"""Activations written as text: what they mean, and that nothing else gets through."""

import math

import numpy as np
import pytest

from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.theory import find_activation, gain, moments
from wellbegun.theory.expression import function_names, is_expression, parse_expression

GRID = np.linspace(-5.0, 5.0, 401)

TWINS = {
    "x": "identity",
    "x * tanh(log1p(exp(x)))": "mish",
    "x * sigmoid(x)": "silu",
    "x / (1 + exp(-x))": "silu",
    "0.5 * x * (1 + erf(x / sqrt(2)))": "gelu",
    "x * erfc(-x / 2**0.5) / 2": "gelu",
    "max(x, 0)": "relu",
    "np.maximum(x, 0.0)": "relu",
    "relu(x) ** 2": "relu_squared",
    "x if x > 0 else expm1(x)": "elu",
    "where(x > 0, x, 0.2 * x)": "leaky_relu_0.2",
    "leaky_relu(x, 0.2)": "leaky_relu_0.2",
    "leaky_relu(x, negative_slope=1/5)": "leaky_relu_0.2",
    "clip(x, -1, 1)": "hardtanh",
    "min(max(x, -1), +1)": "hardtanh",
    "(-1 < x < 1) * x + (x >= 1) - (x <= -1)": "hardtanh",
    "x * (x < -0.5 or x > 0.5)": "hardshrink",
    "x * (not -0.5 <= x <= 0.5)": "hardshrink",
    "x + sin(x) ** 2": "snake",
    "sin(30 * x)": "sin_30",
    "sin(x, 30)": "sin_30",
    "e ** -(x * x / 2)": "gaussian",
    "arctan(x)": "atan",
    "torch.tanh(x)": "tanh",
    "abs(x)": "abs",
    "-x": None,
}


@pytest.mark.parametrize("text", TWINS)
def test_meaning(text: str) -> None:
    twin = find_activation(TWINS[text]).function(GRID) if TWINS[text] else -GRID
    found = find_activation(text)
    assert found.name == text
    np.testing.assert_allclose(found.function(GRID), twin, rtol=1e-12, atol=1e-15)


def test_moments_and_kinks() -> None:
    assert gain("x * tanh(log1p(exp(x)))") == pytest.approx(gain("mish"), rel=1e-12)
    odd_places = find_activation("0.3 * abs(x + 0.777) + max(x - 1.2345, 0)")
    assert odd_places.kinks == pytest.approx((-0.777, 1.2345), abs=1e-12)
    assert moments("x > 1.2345").mean == pytest.approx(math.erfc(1.2345 / math.sqrt(2)) / 2, rel=1e-12)
    assert find_activation("max(x, 0)") is find_activation("max(x, 0)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os').system('true')", "is not allowed"),
        ("__import__('os')", "'os'. is not allowed|there is no function"),
        ("x.__class__", "is not allowed"),
        ("(lambda x: x)(x)", "is not allowed"),
        ("[x for x in x]", "is not allowed"),
        ("x[0]", "is not allowed"),
        ("open(x)", "there is no function 'open'"),
        ("os.getenv(x)", "is not allowed"),
        ("np.linalg.norm(x)", "is not allowed"),
        ("tanh(*x)", "is not allowed"),
        ("tanh(x, **x)", "1 arguments without names"),
        ("x := 3", "not an expression|is not allowed"),
        ("x; x", "not an expression"),
        ("x = 2", "not an expression"),
        ("x +", "not an expression"),
        ("x ^ 2", r"\^ is not a power"),
        ("x & 1", "is not allowed"),
        ("x is x", "comparisons are"),
        ("x * 1j", "is not allowed"),
        ("x * 'a'", "is not allowed"),
        ("y * x", "'y' is not known; the variable is x"),
        ("tanh(3)", "does not use x"),
        ("tan(x)", None),
        ("tnah(x)", "did you mean 'tanh'"),
        ("tanh()", "tanh takes 1 arguments"),
        ("where(x, 1)", "where takes 3"),
        ("softplus(x, gamma=2)", "no parameter 'gamma'"),
        ("softplus(x, 2, beta=2)", "no parameter 'beta'"),
        ("softplus(x, x)", "has to be a number, without x"),
        ("softplus(x, 2, 3)", "takes x and 1 parameters"),
        ("log(x)", "not finite"),
        ("x ** 0.5", "not finite"),
        ("1 / (x - x)", "not finite"),
        ("x * " + "9" * 400, "too large"),
        ("x" + " + x" * 600, "characters"),
        ("(" * 300 + "x" + ")" * 300, "not an expression|nested"),
        ("-" * 100 + "x", "nested more than"),
    ],
)
def test_refusals(text: str, message: str | None) -> None:
    if message is None:
        assert np.isfinite(find_activation(text).function(np.array([0.5]))).all()
        return
    with pytest.raises(ArgumentError, match=message):
        find_activation(text)


def test_powers_of_whole_numbers_do_not_take_for_ever() -> None:
    with pytest.raises(ArgumentError, match="not finite"):
        find_activation("x * 9 ** 9 ** 9 ** 9")


def test_names_are_not_expressions() -> None:
    assert not any(is_expression(name) for name in ("relu", "sin_30", "hard-swish", "max", "", "7"))
    with pytest.raises(UnknownNameError):
        find_activation("rellu")
    with pytest.raises(ArgumentError, match="write the numbers into it"):
        find_activation("x * 2", negative_slope=0.1)


def test_every_function_can_be_called() -> None:
    x = np.array([0.25, 0.5])
    for name in function_names():
        results = []
        for arguments in ("x", "x, 0.5", "x, 0.5, 0.75"):
            try:
                results.append(parse_expression(f"{name}({arguments})")(x))
            except ArgumentError:
                continue
        assert results, name
        assert all(np.isfinite(result).all() for result in results), name
