"""Which activations have a linear odd part, and the public list."""

import numpy as np
import pytest

from wellbegun import theory
from wellbegun.theory import activation_names, odd_part_slope

SLOPES = {
    "identity": 2.0,
    "relu": 1.0,
    "leaky_relu": 1.01,
    "leaky_relu_0.2": 1.2,
    "prelu": 1.25,
    "gelu": 1.0,
    "gelu_tanh": 1.0,
    "quick_gelu": 1.0,
    "silu": 1.0,
    "hardswish": 1.0,
    "softplus": 1.0,
    "ssp": 1.0,
    "logsigmoid": 1.0,
    "snake": 2.0,
}


@pytest.mark.parametrize("name", SLOPES)
def test_linear_odd_parts(name: str) -> None:
    assert odd_part_slope(name) == pytest.approx(SLOPES[name], rel=1e-12)


def test_all_others_have_none() -> None:
    assert {name for name in activation_names() if odd_part_slope(name) is not None} == {
        name for name in SLOPES if name in activation_names()
    }


def test_callables_and_parameters() -> None:
    assert odd_part_slope(lambda x: np.maximum(x, 0.3 * x)) == pytest.approx(1.3, rel=1e-12)
    assert odd_part_slope("leaky_relu", negative_slope=0.5) == pytest.approx(1.5, rel=1e-12)
    assert odd_part_slope(lambda x: 0 * x) is None
    assert odd_part_slope(lambda x: np.maximum(x, 0) + 1e-6 * np.sin(x)) is None


def test_the_public_list_is_what_is_there() -> None:
    assert theory.__all__ == sorted(theory.__all__)
    assert all(callable(getattr(theory, name)) for name in theory.__all__)
