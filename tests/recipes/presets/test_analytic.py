"""Gains and critical points as recipes: formulas against NumPy float64, and what each is for, measured."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError
from wellbegun.lab.trials.method import canonical

FUNCTIONS = {
    "tanh": (nn.Tanh, np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "sigmoid": (nn.Sigmoid, lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "softplus": (nn.Softplus, lambda z: np.log1p(np.exp(z)), lambda z: 1 / (1 + np.exp(-z))),
}
Z, WEIGHT = np.polynomial.legendre.leggauss(400)
Z, WEIGHT = 12 * Z, 12 * WEIGHT * np.exp(-((12 * Z) ** 2) / 2) / math.sqrt(2 * math.pi)


def expect(function, q):
    """E function(z), z ~ N(0, q), in float64."""
    return float(WEIGHT @ function(math.sqrt(q) * Z))


def chain(activation, depth, width=64, bias=True, outputs=None):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width, bias=bias), activation()]
    return nn.Sequential(*layers, nn.Linear(width, outputs or width, bias=bias))


def std(plan, name):
    return plan[name].law.std


def signals(model, seeds, recipe, width, inputs=None):
    """Second moment behind every linear layer, averaged over seeds, on normal data."""
    found = []
    x = torch.randn(64, width, generator=torch.Generator().manual_seed(0)) if inputs is None else inputs
    for seed in range(seeds):
        wb.initialize(model, x, seed=seed, recipe=recipe, overwrite=True)
        signal, sizes = x, []
        with torch.no_grad():
            for layer in model:
                signal = layer(signal)
                if isinstance(layer, nn.Linear):
                    sizes.append(float(signal.double().square().mean()))
        found.append(sizes)
    return np.mean(found, axis=0)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("q", [0.3, 2.0])
def test_forward_gain_is_its_formula(name, q) -> None:
    kind, f, _ = FUNCTIONS[name]
    made = wb.plan(chain(kind, 2), "vector:64", seed=0, recipe=f"gain_forward(q={q})")
    wanted = math.sqrt(q / expect(lambda z: f(z) ** 2, q) / 64)
    assert std(made, "2.weight") == pytest.approx(wanted, rel=1e-6)
    assert std(made, "0.weight") == pytest.approx(math.sqrt(q / 64), rel=1e-6)
    assert made["2.bias"].law == wb.Constant(0.0)
    assert made["2.weight"].after == q


@pytest.mark.parametrize("name", FUNCTIONS)
def test_backward_gain_is_its_formula(name) -> None:
    kind, _, slope = FUNCTIONS[name]
    made = wb.plan(chain(kind, 1, outputs=16), "vector:64", seed=0, recipe="gain_backward")
    assert std(made, "2.weight") == pytest.approx(math.sqrt(1 / expect(lambda z: slope(z) ** 2, 1.0) / 16), rel=1e-6)


def test_backward_gains_keep_the_gradient_and_forward_gains_do_not() -> None:
    """tanh at variance 1: the squared gradient grows 1.18 a layer under forward gains; here E f'²·Var·fan_out is 1."""
    growth = {}
    for recipe in ("gain_forward", "gain_backward"):
        model, found = chain(nn.Tanh, 1, width=512), []
        for seed in range(3):
            wb.initialize(model, "vector:512", seed=seed, recipe=recipe, overwrite=True)
            z = torch.randn(64, 512, generator=torch.Generator().manual_seed(seed), requires_grad=True)
            model[2](torch.tanh(z)).backward(g := torch.randn(64, 512, generator=torch.Generator().manual_seed(9)))
            found.append(float(z.grad.square().mean() / g.square().mean()))
        growth[recipe] = np.mean(found)
    assert growth["gain_backward"] == pytest.approx(1.0, rel=0.03)
    assert growth["gain_forward"] == pytest.approx(1.1778, rel=0.03)


@pytest.mark.parametrize("q", [0.5, 2.0])
def test_the_critical_point_is_its_formula(q) -> None:
    _, f, slope = FUNCTIONS["tanh"]
    made = wb.plan(chain(nn.Tanh, 3), "vector:64", seed=0, recipe=f"critical(q={q})")
    variance = 1 / expect(lambda z: slope(z) ** 2, q)
    bias = q - variance * expect(lambda z: f(z) ** 2, q)
    assert std(made, "2.weight") == pytest.approx(math.sqrt(variance / 64), rel=1e-6)
    assert std(made, "2.bias") == pytest.approx(math.sqrt(bias), rel=1e-6)
    assert std(made, "0.weight") == pytest.approx(math.sqrt((q - bias) / 64), rel=1e-6)
    assert std(made, "6.weight") == pytest.approx(math.sqrt(variance / 64), rel=1e-6)
    assert made["6.bias"].law == wb.Constant(0.0)


@pytest.mark.parametrize(("name", "q"), [("sigmoid", 0.2), ("softplus", 1.0), ("tanh", 1.0)])
def test_the_compensated_point_is_its_formula(name, q) -> None:
    kind, f, slope = FUNCTIONS[name]
    made = wb.plan(chain(kind, 2), "vector:64", seed=0, recipe=f"mean_compensated(q={q})")
    variance, mean = 1 / expect(lambda z: slope(z) ** 2, q), expect(f, q)
    left = q - variance * (expect(lambda z: f(z) ** 2, q) - mean**2)
    law = made["2.bias"].law
    assert std(made, "2.weight") == pytest.approx(math.sqrt(variance / 64), rel=1e-6)
    assert (law.weight, law.mean) == ("2.weight", pytest.approx(mean, rel=1e-6, abs=1e-9))
    assert law.std == pytest.approx(math.sqrt(left), rel=1e-5)


def test_stable_critical_holds_gelu_where_the_forward_gain_loses_it() -> None:
    """40 layers of 512: the published instability of the forward gain, and its cure at q = 4.

    The scatter of a network this narrow is about sqrt(6.2·40/512/2) = 0.5 of q (kurtosis 6.2 of GELU, two seeds).
    """
    model = chain(nn.GELU, 40, width=512)
    stable = signals(model, 2, "stable_critical(q=4)", 512)[:-1]
    assert np.abs(stable / 4 - 1).max() < 0.5
    unstable = signals(model, 2, "gain_forward", 512)
    assert np.abs(np.log(unstable)).max() > 2 * np.abs(np.log(stable / 4)).max()


def test_stable_critical_refuses_what_is_not() -> None:
    assert wb.plan(chain(nn.GELU, 2), seed=0, recipe="stable_critical")["2.weight"].after == pytest.approx(
        1.1 * (3 + math.sqrt(17)) / 2, rel=1e-6
    )
    with pytest.raises(PlanError, match="no stable critical point at q = 1"):
        wb.plan(chain(nn.GELU, 2), seed=0, recipe="stable_critical(q=1)")
    assert "an unstable critical point" in wb.plan(chain(nn.GELU, 2), seed=0, recipe="critical")["2.weight"].reason
    with pytest.raises(PlanError, match="mean_compensated"):
        wb.plan(chain(nn.Sigmoid, 2), seed=0, recipe="stable_critical")


def test_relus_critical_point_is_hes_rule() -> None:
    made, he = (wb.plan(chain(nn.ReLU, 2), seed=0, recipe=recipe) for recipe in ("stable_critical", "he"))
    assert made["2.weight"].law == he["2.weight"].law
    assert made["2.bias"].law == wb.Constant(0.0)


def test_mean_compensated_holds_sigmoid_over_fifty_layers() -> None:
    sizes = signals(chain(nn.Sigmoid, 50, width=512), 2, "mean_compensated(q=0.2)", 512)[:-1]
    assert np.abs(sizes / 0.2 - 1).max() < 0.25


def test_orthogonal_critical_weights_carry_the_factor_of_wider_layers() -> None:
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    made = wb.plan(model, "vector:16", seed=0, recipe="critical(distribution='orthogonal')")
    assert [made[f"{i}.weight"].law for i in (0, 2, 4)] == [
        wb.Orthogonal(2.0), wb.Orthogonal(2 * math.sqrt(2)), wb.Orthogonal(math.sqrt(2)),
    ]  # fmt: skip
    kernels = nn.Sequential(nn.Conv2d(4, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 3, padding=1))
    with pytest.raises(PlanError, match=r"2\.weight \[8, 16, 3, 3\].*distribution='normal'"):
        wb.plan(kernels, "image:4x8x8", seed=0, recipe="critical(distribution='orthogonal')")
    with pytest.raises(PlanError, match="matrix product only"):
        wb.plan(kernels, "image:4x8x8", seed=0, recipe="mean_compensated")
    made = wb.plan(kernels, "image:4x8x8", seed=0, recipe="critical")
    assert std(made, "2.weight") == pytest.approx(math.sqrt(2 / 144))


def test_what_no_critical_point_fits_is_refused() -> None:
    with pytest.raises(PlanError, match=r"0\.weight has no bias, and the critical point of tanh"):
        wb.plan(chain(nn.Tanh, 2, bias=False), seed=0, recipe="critical")
    with pytest.raises(PlanError, match="no bias that could take the mean"):
        wb.plan(
            nn.Sequential(*list(chain(nn.Tanh, 2))[:-1], nn.Linear(64, 10, bias=False)),
            seed=0,
            recipe="mean_compensated",
        )
    mixed = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    with pytest.raises(PlanError, match="stands between tanh and relu"):
        wb.plan(mixed, seed=0, recipe="critical")
    for recipe in ("critical(q=0)", "gain_forward(q=-1)", "gain_forward(distribution='cauchy')", "critical(q=None)"):
        with pytest.raises(ArgumentError):
            wb.plan(mixed, seed=0, recipe=recipe)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.SiLU, nn.Softplus, lambda: nn.LeakyReLU(0.3)])
def test_looks_linear_is_an_isometry_at_any_depth(activation) -> None:
    """Every activation with a linear odd part: output and Jacobian keep all lengths and angles after 30 layers."""
    model = chain(activation, 30, width=32).double()
    wb.initialize(model, "vector:32", seed=3, recipe="looks_linear")
    jacobian = torch.autograd.functional.jacobian(model, torch.randn(32, dtype=torch.float64))
    values = torch.linalg.svdvals(jacobian)
    # the first layer reads 32 numbers into 16 pairs: half of the directions pass, all with one factor
    assert values[:16].max() / values[:16].min() - 1 < 1e-6
    assert values[16:].max() < 1e-6


def test_looks_linear_says_what_is_in_the_way() -> None:
    mixed = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8))
    cases = [
        (chain(nn.Tanh, 2), "odd part"),
        (chain(nn.ReLU, 2, width=7), "odd width"),
        (mixed, "different activations"),
    ]
    for model, message in cases:
        with pytest.raises(PlanError, match=message):
            wb.plan(model, seed=0, recipe="looks_linear")


def test_the_lab_takes_recipes_as_methods() -> None:
    assert canonical("stable_critical") == "stable_critical@1"
    assert canonical("Critical@1( q=2 )") == "critical@1(q=2)"
