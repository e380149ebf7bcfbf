"""Names, parameters and callables become one kind of value."""

import functools
import math
import pickle
import sys

import numpy as np
import pytest

from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.theory import Activation, activation_names, find_activation, gain, moments

GRID = np.linspace(-9.0, 9.0, 1001)


@pytest.mark.parametrize("name", activation_names())
def test_every_named_activation_is_stable_and_keeps_the_shape(name: str) -> None:
    activation = find_activation(name)
    assert activation is find_activation(activation)
    assert hash(activation) == hash(find_activation(name))
    values = activation.function(GRID.reshape(7, 11, 13))
    assert values.shape == (7, 11, 13)
    assert values.dtype == np.float64
    far = np.array([-700.0, 700.0])
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(activation.function(far)).all()


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("swish", "silu"),
        ("SiLU", "silu"),
        ("linear", "identity"),
        ("relu2", "relu_squared"),
        ("ReLU6", "relu6"),
        ("LeakyReLU", "leaky_relu"),
        ("leaky_relu_0.01", "leaky_relu"),
        ("prelu_0.25", "prelu"),
        ("celu_2", "celu_2"),
        ("softshrink_0.5", "softshrink"),
        ("snake_1", "snake"),
        ("sin30", "sin_30"),
        ("hard-swish", "hardswish"),
        ("gelu_pytorch_tanh", "gelu_tanh"),
    ],
)
def test_names(given: str, canonical: str) -> None:
    assert find_activation(given).name == canonical
    assert find_activation(canonical) is find_activation(given)


def test_parameters() -> None:
    assert find_activation("leaky_relu", negative_slope=0.2) is find_activation("leaky_relu_0.2")
    assert find_activation("hardtanh", min_val=-2).name == "hardtanh(min_val=-2)"
    assert find_activation("hardtanh", min_val=-2).kinks == (-2.0, 1.0)
    assert find_activation("elu", alpha=0).function(np.array([-1.0])) == 0.0
    assert moments("softplus", beta=100.0).second == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("relu", {"slope": 0.1}, "no parameter 'slope'; it takes none"),
        ("leaky_relu", {"slope": 0.1}, "it takes negative_slope"),
        ("elu", {"alpha": math.nan}, "finite number"),
        ("elu", {"alpha": True}, "finite number"),
        ("celu", {"alpha": 0}, "cannot be 0"),
    ],
)
def test_bad_parameters(name: str, parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        find_activation(name, **parameters)


@pytest.mark.parametrize("name", ["rellu", "relu_7", "gelu_0.5", "", "7"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(UnknownNameError, match="no activation is called"):
        find_activation(name)


def test_an_unknown_name_offers_the_closest() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean.*'leaky_relu'"):
        find_activation("leaky_rely")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (np.tanh, "tanh"),
        (math.tanh, "tanh"),
        (functools.partial(np.clip, a_min=-1, a_max=1), "clip"),
        (lambda x: x if x > 0 else 0.0, "<lambda>"),
        (lambda x: x > 0.25, "<lambda>"),
    ],
)
def test_callables(given: object, name: str) -> None:
    activation = find_activation(given)  # type: ignore[arg-type]
    assert activation.name == name
    assert activation.function(np.zeros(3)).dtype == np.float64


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[: len(x) // 2], "changes the shape"),
        (lambda x: 1 / (x - x), "not finite"),
        (np.log, "not finite"),
        (math.log, "fails on|cannot be called"),
        (lambda x: np.exp(x) / np.exp(x).sum(), "not elementwise"),
        (lambda x: x.no_such_method(), "cannot be called"),
        (lambda x, y: x, "cannot be called"),
    ],
)
def test_unfit_callables(function: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        find_activation(function)  # type: ignore[arg-type]


def test_only_names_take_parameters() -> None:
    with pytest.raises(ArgumentError, match="bind them"):
        find_activation(np.tanh, alpha=1.0)
    with pytest.raises(ArgumentError, match="a name, a callable or an Activation, not int 3"):
        find_activation(3)  # type: ignore[arg-type]


def test_a_callable_may_work_in_place() -> None:
    def in_place(x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0.0, out=x)

    assert moments(in_place).mean == pytest.approx(1 / math.sqrt(2 * math.pi), rel=1e-12)


def test_an_activation_of_one_s_own() -> None:
    cube = Activation("cube", lambda x: x**3)
    assert moments(cube).second == pytest.approx(15.0, rel=1e-12)
    assert repr(cube) == "Activation(name='cube', kinks=())"


def test_parameterless_values_survive_errors_that_are_pickled() -> None:
    with pytest.raises(ArgumentError) as caught:
        find_activation("elu", alpha=math.inf)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


TORCH_TWINS = {
    "relu": "ReLU()",
    "leaky_relu": "LeakyReLU()",
    "prelu": "PReLU()",
    "relu6": "ReLU6()",
    "elu": "ELU()",
    "celu_2": "CELU(2.0)",
    "selu": "SELU()",
    "gelu": "GELU()",
    "gelu_tanh": "GELU('tanh')",
    "silu": "SiLU()",
    "mish": "Mish()",
    "hardswish": "Hardswish()",
    "softplus": "Softplus()",
    "logsigmoid": "LogSigmoid()",
    "tanh": "Tanh()",
    "softsign": "Softsign()",
    "hardtanh": "Hardtanh()",
    "sigmoid": "Sigmoid()",
    "hardsigmoid": "Hardsigmoid()",
    "tanhshrink": "Tanhshrink()",
    "softshrink": "Softshrink()",
    "hardshrink": "Hardshrink()",
    "identity": "Identity()",
}


@pytest.mark.parametrize("name", TORCH_TWINS)
def test_torch_modules_equal_named_ones(name: str) -> None:
    torch = pytest.importorskip("torch")
    module = eval("torch.nn." + TORCH_TWINS[name], {"torch": torch})
    found, named = find_activation(module), find_activation(name)
    np.testing.assert_allclose(found.function(GRID), named.function(GRID), rtol=1e-9, atol=1e-14)
    for kind in ("forward", "backward"):
        # torch's softplus is linear from 20 on, an error of 2e-9 there
        assert gain(module, kind=kind) == pytest.approx(gain(name, kind=kind), rel=1e-9)


def test_torch_functions_equal_named_ones() -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    pairs = [
        (torch.tanh, "tanh"),
        (torch.erf, "erf"),
        (torch.sin, "sin"),
        (functional.gelu, "gelu"),
        (functional.silu, "silu"),
        (functools.partial(functional.leaky_relu, negative_slope=0.2), "leaky_relu_0.2"),
        (lambda x: torch.relu(x) ** 2, "relu_squared"),
        (lambda x: x * torch.sigmoid(x), "silu"),
        (torch.nn.ReLU(inplace=True), "relu"),
        (torch.nn.RReLU(0.2, 0.2), "leaky_relu_0.2"),
        (torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Identity()), "tanh"),
    ]
    for function, name in pairs:
        assert moments(function).second == pytest.approx(moments(name).second, rel=1e-9), name
        assert moments(function).slope_second == pytest.approx(moments(name).slope_second, rel=1e-9), name


def test_a_torch_module_is_copied_and_left_alone() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.PReLU()
    activation = find_activation(module)
    assert module.weight.dtype == torch.float32
    assert module.training
    with torch.no_grad():
        module.weight.fill_(1.0)
    assert activation.function(np.array([-4.0])) == -1.0
    with pytest.raises(ArgumentError, match="changes the shape"):
        find_activation(torch.nn.GLU())
    with pytest.raises(ArgumentError, match="not elementwise"):
        find_activation(torch.nn.Softmax(dim=0))


def test_theory_does_not_import_torch() -> None:
    import subprocess

    code = "import sys, wellbegun.theory as t; t.gain(lambda x: x * (x > 0)); assert 'torch' not in sys.modules"
    code += "; assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "src"}, timeout=60)


@pytest.mark.parametrize("q", [0.01, 1.0, 100.0])
def test_other_number_formats(q: float) -> None:
    """float32, whole numbers, truth values; float32 weights in a torch function that refuses to mix."""
    relu = moments(lambda x: np.maximum(x.astype(np.float32), 0), q)
    assert relu.second == pytest.approx(q / 2, rel=1e-7)
    assert relu.slope_second == pytest.approx(0.5, rel=5e-6)
    assert moments(lambda x: x > 0.3, q).second == pytest.approx(math.erfc(0.3 / math.sqrt(2 * q)) / 2, rel=1e-12)
    rounded = moments(lambda x: np.round(x).astype(np.int64), q)
    assert rounded.mean == pytest.approx(0, abs=1e-12)
    assert rounded.slope_second == 0
    torch = pytest.importorskip("torch")
    weight = torch.tensor([0.25])
    prelu = moments(lambda x: torch.nn.functional.prelu(x, weight), q)
    assert prelu.second == pytest.approx(moments("prelu", q).second, rel=1e-7)
