"""Parameters that something is computed from before it is used: the steps, and what the result serves as."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from wellbegun.graph.graph import Use
from wellbegun.graph.recorder import Recorder
from wellbegun.graph.trace import trace
from wellbegun.graph.variable import collect_variables
from wellbegun.laws import Fans


class Computes(nn.Module):
    """Parameters of given shapes, and what the forward pass does with them."""

    def __init__(self, forward: object, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(torch.zeros(shape)))
        self.act = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self, x)


def uses_of(model: nn.Module, inputs: object = "vector:8") -> dict[str, list[Use]]:
    return {name: list(uses) for name, uses in trace(model, inputs).uses.items()}


def standardised(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    w = m.w
    return F.conv2d(x, (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True))


def test_a_scale_is_a_factor() -> None:
    (use,) = uses_of(Computes(lambda m, x: F.linear(x, m.w * 0.25), w=(4, 8)))["w"]
    assert (use.role, use.factor, use.fans, use.axes) == ("linear weight", 0.25, Fans(8, 4), "oi")
    (use,) = uses_of(Computes(lambda m, x: F.linear(x, -m.w / 2), w=(4, 8)))["w"]
    assert (use.role, use.factor) == ("linear weight", -0.5)


@pytest.mark.parametrize("dim", [0, 1])
def test_concatenated_weights_are_weights(dim: int) -> None:
    shapes = {"a": (4, 8), "b": (2, 8)} if dim == 0 else {"a": (4, 6), "b": (4, 2)}
    uses = uses_of(Computes(lambda m, x: F.linear(x, torch.cat((m.a, m.b), dim)), **shapes))
    assert {use.role for name in "ab" for use in uses[name]} == {"linear weight"}
    assert uses["a"][0].fans == Fans(8, 6 if dim == 0 else 4)
    assert uses["b"][0].axes == "oi"


def test_stacked_weights_are_experts() -> None:
    forward = lambda m, x: torch.bmm(x.expand(2, 2, 8), torch.stack((m.a, m.b)))  # noqa: E731
    uses = uses_of(Computes(forward, a=(8, 4), b=(8, 4)))
    assert [(use.role, use.fans, use.axes) for use in uses["b"]] == [("linear weight", Fans(8, 4), "io")]


DERIVED = {
    "A = -exp(A_log)": (lambda m, x: x * -torch.exp(m.w), (8,), "derived: exp, neg", "multiplied"),
    "softplus(dt)": (lambda m, x: x * F.softplus(m.w), (8,), "derived: softplus", "multiplied"),
    "tanh of a gate": (lambda m, x: x + torch.tanh(m.w) * F.relu(x), (1,), "derived: tanh", "scalar gate"),
    "exp of a temperature": (lambda m, x: x * m.w.exp(), (), "derived: exp", "scalar gate"),
    "softmax of mixing weights": (lambda m, x: x * F.softmax(m.w, 0), (8,), "derived: softmax", "multiplied"),
    "a squashed weight": (lambda m, x: F.linear(x, torch.sigmoid(m.w)), (4, 8), "derived: sigmoid", "linear weight"),
}  # fmt: skip


@pytest.mark.parametrize("case", DERIVED)
def test_computed_parameters(case: str) -> None:
    forward, shape, role, serves = DERIVED[case]
    (use,) = uses_of(Computes(forward, w=shape))["w"]
    assert (use.role, use.serves) == (role, serves)


def test_the_chain_from_the_parameter_to_its_consumer_is_in_the_graph() -> None:
    graph = trace(Computes(lambda m, x: x * -torch.exp(m.w), w=(8,)), "vector:8")
    exp, neg = (operation for operation in graph.operations if operation.kind == "parameter")
    assert (exp.detail, exp.parameters, neg.detail, neg.inputs) == ("exp", ("w",), "neg", (exp.index,))
    multiply = graph.operations[graph.uses["w"][0].operation]
    assert (multiply.kind, multiply.inputs) == ("multiply", (0, neg.index))


def test_standardised_weights_keep_their_fans() -> None:
    (use,) = uses_of(Computes(standardised, w=(4, 3, 3, 3)), "image:3x8x8")["w"]
    assert use.role.startswith("derived: ")
    assert (use.serves, use.fans, use.axes) == ("convolution weight", Fans(27, 36), "oikk")


def test_two_factors_of_a_weight() -> None:
    uses = uses_of(Computes(lambda m, x: F.linear(x, m.b @ m.a), a=(2, 8), b=(4, 2)))
    assert {use.role for name in "ab" for use in uses[name]} == {"derived: mm"}
    assert {use.serves for name in "ab" for use in uses[name]} == {"linear weight"}


def test_factors_applied_one_after_the_other_are_weights() -> None:
    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(8, 4)
            self.down, self.up = nn.Linear(8, 2, bias=False), nn.Linear(2, 4, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.base(x) + self.up(self.down(x)) * 2

    uses = uses_of(Adapted())
    assert uses["up.weight"][0].fans == Fans(2, 4)
    assert {use.role for name in uses for use in uses[name]} == {"linear weight", "bias"}


REPARAMETRISED = {
    "weight_norm": (lambda layer: parametrizations.weight_norm(layer), "parametrizations.weight.original1"),
    "old weight_norm": (lambda layer: _old_weight_norm(layer), "weight_v"),
    "spectral_norm": (lambda layer: parametrizations.spectral_norm(layer), "parametrizations.weight.original"),
    "prune": (lambda layer: prune.l1_unstructured(layer, "weight", 0.5), "weight_orig"),
}
"""How a layer is made, and the tensor that carries its weight."""


def _old_weight_norm(layer: nn.Module) -> nn.Module:
    with pytest.warns(FutureWarning):
        return torch.nn.utils.weight_norm(layer)


@pytest.mark.parametrize("layer", [lambda: nn.Linear(8, 4), lambda: nn.Conv1d(3, 4, 3)])
@pytest.mark.parametrize("case", REPARAMETRISED)
def test_reparametrised_layers(case: str, layer: object) -> None:
    wrap, carrier = REPARAMETRISED[case]
    model = wrap(layer())
    is_linear = isinstance(model, nn.Linear)
    graph = trace(model, "vector:8" if is_linear else "float:3x9")
    assert set(graph.uses) == {"weight", "bias"}
    (use,) = graph.uses["weight"]
    assert use.role == f"{'linear' if is_linear else 'convolution'} weight"
    assert use.fans == (Fans(8, 4) if is_linear else Fans(9, 12))
    assert graph.uses["bias"][0].role == "bias"
    (weight,) = [variable for variable in graph.variables if variable.name == "weight"]
    assert (weight.parametrised, weight.carrier) == (case.removeprefix("old "), carrier)
    assert weight.shape == ((4, 8) if is_linear else (4, 3, 3))
    assert {variable.name for variable in graph.variables} - {"weight", "bias", "weight_mask"} == set()


def test_a_computed_parameter_that_nothing_takes_is_not_lost() -> None:
    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        m.w.square().sum()
        return x

    (use,) = uses_of(Computes(forward, w=(8,)))["w"]
    assert use.role.startswith("derived: ")


def test_an_orthogonal_parametrisation_on_real_tensors() -> None:
    model = parametrizations.orthogonal(nn.Linear(8, 4))
    variables = collect_variables(model)
    recorder = Recorder(variables)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        recorder.know_variable(tensor, name)
    x = torch.zeros(2, 8)
    recorder.know_input(x, None)
    with torch.no_grad(), recorder:
        model(x)
    (use,) = recorder.graph(variables, ()).uses["parametrizations.weight.original"]
    assert use.role.startswith("derived: ")
    assert (use.serves, use.fans) == ("linear weight", Fans(8, 4))
