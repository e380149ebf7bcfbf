"""calculate_gain: torch's numbers for torch's names, exact ones for the rest. Fans as torch counts them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from wellbegun import nn_init

TORCH_NAMES = [
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "sigmoid", "tanh", "relu", "leaky_relu", "selu",
]  # fmt: skip
ELEMENTWISE = {
    "relu6": {}, "elu": {}, "celu": {}, "gelu": {}, "silu": {}, "mish": {}, "hardswish": {}, "hardsigmoid": {},
    "hardtanh": {}, "softplus": {}, "softsign": {}, "tanhshrink": {}, "logsigmoid": {}, "hardshrink": {},
    "softshrink": {},
}  # fmt: skip


def second_moment(function) -> float:
    """E f(z)² by Gauss–Hermite quadrature of the torch function itself, on pieces short enough for its kinks."""
    edges = np.linspace(-12, 12, 4801)
    nodes, weights = np.polynomial.legendre.leggauss(5)
    half, middle = np.diff(edges)[:, None] / 2, (edges[:-1] + edges[1:])[:, None] / 2
    z = middle + half * nodes
    f = function(torch.from_numpy(z)).numpy()
    return float((half * weights * f**2 * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)).sum())


@pytest.mark.parametrize("name", TORCH_NAMES)
@pytest.mark.parametrize("param", [None, 0, 0.2, 3])
def test_torchs_names_keep_torchs_numbers(name: str, param: float | None) -> None:
    assert nn_init.calculate_gain(name, param) == torch.nn.init.calculate_gain(name, param)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_other_activations_have_the_exact_gain(name: str) -> None:
    assert nn_init.calculate_gain(name) == pytest.approx(second_moment(getattr(F, name)) ** -0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "param", "function"),
    [
        ("prelu", None, lambda x: F.leaky_relu(x, 0.25)),
        ("prelu", 0.5, lambda x: F.leaky_relu(x, 0.5)),
        ("elu", 0.5, lambda x: F.elu(x, 0.5)),
        ("celu", 2.0, lambda x: F.celu(x, 2.0)),
        ("softplus", 2.0, lambda x: F.softplus(x, 2.0)),
        ("hardshrink", 1.0, lambda x: F.hardshrink(x, 1.0)),
        ("softshrink", 1.0, lambda x: F.softshrink(x, 1.0)),
        ("threshold", 0.5, lambda x: F.threshold(x, 0.5, 0.0)),
    ],
)
def test_parameters_are_those_of_torchs_functions(name, param, function) -> None:
    assert nn_init.calculate_gain(name, param) == pytest.approx(second_moment(function) ** -0.5, rel=1e-6)


def test_gated_and_random_activations_by_simulation() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2_000_000, 2, generator=generator)
    assert nn_init.calculate_gain("glu") == pytest.approx(float(F.glu(x).square().mean()) ** -0.5, rel=5e-3)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        f = F.rrelu(x, training=True)
    assert nn_init.calculate_gain("rrelu") == pytest.approx(float(f.square().mean()) ** -0.5, rel=5e-3)


def test_every_activation_of_torch_is_known_or_said_to_have_no_gain() -> None:
    """The list: functions of torch.nn.functional with the name of an activation module."""
    modules = {name.lower() for name in torch.nn.modules.activation.__all__}
    functions = [name for name in dir(F) if name.replace("_", "") in modules and name.strip("_") == name]
    assert len(functions) >= 25
    for name in functions:
        if name in ("softmax", "softmin", "log_softmax", "gumbel_softmax"):
            with pytest.raises(ValueError, match="whole rows"):
                nn_init.calculate_gain(name)
        elif name == "threshold":
            with pytest.raises(ValueError, match="pass its threshold"):
                nn_init.calculate_gain(name)
        elif name != "multi_head_attention_forward":
            assert 0.5 < nn_init.calculate_gain(name) < 10, name


@pytest.mark.parametrize("param", [True, [1], "0.1"])
def test_a_slope_is_a_number(param: object) -> None:
    with pytest.raises(ValueError, match="not a valid number"):
        nn_init.calculate_gain("leaky_relu", param)


@pytest.mark.parametrize(
    ("name", "param", "message"),
    [
        ("gleu", None, "Unsupported nonlinearity gleu; did you mean glu or gelu"),
        ("Tanh", None, "Unsupported nonlinearity Tanh; did you mean tanh"),
        (torch.tanh, None, "takes callables"),
        ([], None, "Unsupported nonlinearity"),
        ("gelu", 0.5, "gelu takes no parameter"),
        ("glu", 0.5, "glu takes no parameter"),
        ("elu", math.nan, "finite number"),
        ("threshold", True, "pass its threshold"),
    ],
)
def test_what_has_no_gain_is_refused(name: object, param: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn_init.calculate_gain(name, param)


def test_the_slope_argument_of_kaiming_is_for_leaky_relu_only() -> None:
    for name in ("elu", "prelu", "gelu"):
        one, other = (
            nn_init.kaiming_normal_(torch.empty(4, 5), a, nonlinearity=name, generator=torch.Generator().manual_seed(1))
            for a in (0, 0.7)
        )
        assert torch.equal(one, other)


SHAPES = [
    (3, 5), (7, 1), (1, 7), (16, 8, 3), (16, 8, 3, 5), (4, 6, 2, 3, 4), (2, 3, 2, 2, 2, 2), (5, 0), (0, 5), (4, 3, 0),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_fans_are_torchs(shape: tuple[int, ...]) -> None:
    tensor = torch.empty(shape, device="meta")
    fans = nn_init._calculate_fan_in_and_fan_out(tensor)
    assert fans == torch.nn.init._calculate_fan_in_and_fan_out(tensor)
    assert tuple(nn_init._calculate_correct_fan(tensor, mode) for mode in ("fan_in", "FAN_OUT")) == fans


@pytest.mark.parametrize(
    ("layer", "fans"),
    [
        (torch.nn.Linear(8, 16), (8, 16)),
        (torch.nn.Conv1d(8, 16, 5), (40, 80)),
        (torch.nn.Conv2d(8, 16, (3, 5)), (120, 240)),
        (torch.nn.Conv3d(8, 16, 2, groups=4), (16, 128)),
        (torch.nn.ConvTranspose2d(8, 16, 3), (144, 72)),  # as torch counts them: the two trade places
    ],
)
def test_fans_of_layers(layer: torch.nn.Module, fans: tuple[int, int]) -> None:
    assert nn_init._calculate_fan_in_and_fan_out(layer.weight) == fans


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_fans_of_any_shape(shape: list[int]) -> None:
    tensor = torch.empty(shape, device="meta")
    assert nn_init._calculate_fan_in_and_fan_out(tensor) == torch.nn.init._calculate_fan_in_and_fan_out(tensor)


def test_fans_need_two_dimensions_and_a_known_mode() -> None:
    for shape in ((), (3,)):
        for function in (nn_init.xavier_uniform_, nn_init.xavier_normal_, nn_init.kaiming_uniform_):
            with pytest.raises(ValueError, match="fewer than 2 dimensions"):
                function(torch.empty(shape))
    with pytest.raises(ValueError, match=r"Mode fan_avg not supported, please use one of \['fan_in', 'fan_out'\]"):
        nn_init.kaiming_normal_(torch.empty(2, 2), mode="fan_avg")
