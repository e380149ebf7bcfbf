"""wb.diagnose on real networks: right numbers, right findings, nothing left behind."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.diagnosis.facts import Facts
from wellbegun.diagnosis.findings import find_faults
from wellbegun.errors import ArgumentError, TraceError


def mlp(activation: Callable[[], nn.Module], depth: int, width: int = 64) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(128, 64, generator=generator), torch.randint(10, (128,), generator=generator)


def kinds(diagnosis, level: str = "error") -> set[str]:
    return {finding.kind for finding in diagnosis.findings if finding.level == level}


def test_facts_equal_a_calculation_by_hand(batch) -> None:
    x, y = batch
    model = mlp(nn.Tanh, 3)
    wb.initialize(model, x, seed=1)
    found = wb.diagnose(model, batch)
    outputs, h = [], x
    for layer in model:
        h = layer(h)
        if isinstance(layer, nn.Linear):
            h.retain_grad()
            outputs.append(h)
    loss = nn.functional.cross_entropy(h, y)
    loss.backward()
    assert [layer.name for layer in found.layers] == ["0.weight", "2.weight", "4.weight", "6.weight"]
    assert [layer.activation for layer in found.layers] == ["tanh"] * 3 + [""]
    assert found.loss == pytest.approx(float(loss.detach()), rel=1e-6)
    for layer, output, linear in zip(
        found.layers, outputs, [m for m in model if isinstance(m, nn.Linear)], strict=True
    ):
        values, gradient = output.detach().double(), output.grad.double()
        assert layer.signal == pytest.approx(float(values.square().mean()), rel=1e-6)
        assert layer.gradient == pytest.approx(float(gradient.square().mean()), rel=1e-5)
        assert layer.weight_gradient == pytest.approx(float(linear.weight.grad.double().square().mean()), rel=1e-5)
        if layer.activation:
            assert layer.activated == pytest.approx(float(values.tanh().square().mean()), rel=1e-5)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU])
@pytest.mark.parametrize("depth", [2, 6, 20])
def test_no_fault_is_found_in_a_network_that_auto_made(activation, depth, batch) -> None:
    for seed in range(3):
        model = mlp(activation, depth)
        wb.initialize(model, batch[0], seed=seed)
        found = wb.diagnose(model, batch)
        assert found.healthy
        assert not kinds(found, "warning"), found.findings


@pytest.mark.parametrize(
    ("activation", "recipe", "kind"),
    [
        (nn.Tanh, "zeros", "symmetric"),
        (nn.Tanh, "zeros", "no gradient"),
        (nn.ReLU, "zeros", "dead"),
        (nn.Tanh, "equal", "symmetric"),
        (nn.ReLU, "equal", "symmetric"),
        (nn.Tanh, "normal(std=1)", "saturated"),
        (nn.Tanh, "normal(std=1)", "exploding"),
        (nn.ReLU, "normal(std=1)", "exploding"),
        (nn.Tanh, "uniform", "vanishing"),
        (nn.ReLU, "uniform", "vanishing"),
        (nn.Tanh, "fan_in_uniform", "vanishing"),
        (nn.ReLU, "fan_in_uniform", "vanishing"),
        (nn.ReLU, "fan_in_uniform", "collapsed"),
        (nn.Sigmoid, "xavier", "vanishing"),
    ],
)
def test_each_fault_is_found(activation, recipe, kind, batch) -> None:
    model = mlp(activation, 20)
    wb.initialize(model, batch[0], seed=2, recipe=recipe)
    found = wb.diagnose(model, batch)
    assert kind in kinds(found)
    assert not found.healthy
    finding = next(f for f in found.findings if f.kind == kind)
    assert finding.layer in {layer.name for layer in found.layers}
    assert any(character.isdigit() for character in finding.message)
    assert finding.remedy


def test_he_with_thirty_relu_layers_ignores_its_input(batch) -> None:
    """The example of the design: perfect variance, and a cosine of 0.97 between different inputs."""
    model = mlp(nn.ReLU, 30, width=64)
    cosines, collapsed = [], 0
    for seed in range(9):
        wb.initialize(model, batch[0], seed=seed, recipe="he", overwrite=True)
        found = wb.diagnose(model, batch)
        cosines.append(found.layers[-2].cosine)
        collapsed += "collapsed" in kinds(found, "warning")
    # infinite width gives 0.972; at width 64 single networks spread from about 0.92 to 0.99
    assert np.median(cosines) == pytest.approx(0.97, abs=0.02)
    assert collapsed >= 6


def test_infinite_values_are_found(batch) -> None:
    model = mlp(nn.ReLU, 2)
    wb.initialize(model, batch[0], seed=0)
    with torch.no_grad():
        model[2].weight[0, 0] = math.inf
    found = wb.diagnose(model, batch)
    assert found.findings[0].kind == "non-finite"
    assert found.findings[0].layer == "2.weight"
    assert found.findings[0].message.startswith("1 of the 4,096 numbers of 2.weight are infinite or not a number")


def test_infinite_values_between_bounded_activations_are_found(batch) -> None:
    """Of the hidden layers one alone is infinite: the next tanh hides that, and no logarithm may trip over it."""
    model = mlp(nn.Tanh, 3)
    with torch.no_grad():
        model[2].weight[0, 0] = math.inf
    found = wb.diagnose(model, batch)
    assert [math.isfinite(layer.signal) for layer in found.layers] == [True, False, True, True]
    assert (found.findings[0].kind, found.findings[0].layer) == ("non-finite", "2.weight")


def test_an_infinite_output_of_finite_weights_is_found(batch) -> None:
    model = mlp(nn.ReLU, 2)
    wb.initialize(model, batch[0], seed=0)
    with torch.no_grad():
        model[2].weight.fill_(3e38)
    found = wb.diagnose(model, batch)
    assert found.findings[0].message.startswith("the output of 2.weight is infinite or not a number")
    assert found.findings[0].weights == ("0.weight", "2.weight")


def test_an_infinite_gradient_is_found(batch) -> None:
    model = mlp(nn.ReLU, 2)
    wb.initialize(model, batch[0], seed=0)

    def loss(output, targets):
        return (output - output.detach()).square().sum().sqrt()  # the root's slope at 0 is infinite

    found = wb.diagnose(model, batch, loss=loss)
    assert found.findings[0].kind == "non-finite"
    assert found.findings[0].message.startswith("the gradient at the output of 4.weight is infinite or not a number")


def test_an_infinite_loss_alone_is_found(batch) -> None:
    model = mlp(nn.ReLU, 2)
    wb.initialize(model, batch[0], seed=0)
    found = wb.diagnose(model, batch, loss=lambda output, targets: output.mean() + math.inf)
    assert found.findings[0].message == "the loss is infinite or not a number (loss inf)"


def test_a_loss_without_a_gradient_teaches_nothing(batch) -> None:
    model = mlp(nn.ReLU, 2)
    wb.initialize(model, batch[0], seed=0)
    found = wb.diagnose(model, batch, loss=lambda output, targets: output.detach().mean())
    assert "no gradient" in kinds(found)


class Everything(nn.Module):
    """Convolution, normalisation with buffers, dropout, an in-place activation, one module called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.twice = nn.Linear(64 * 4, 64 * 4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(64 * 4, 10)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls = self.calls + 1
        h = torch.relu_(self.norm(self.conv(x.view(-1, 1, 8, 8)))).flatten(1)
        h = self.drop(torch.nn.functional.gelu(self.twice(torch.tanh(self.twice(h)))))
        return self.head(h)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(batch, fails) -> None:
    model = Everything()
    model.train()
    model.head.weight.grad = torch.ones_like(model.head.weight)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    calls = model.calls
    torch.manual_seed(3)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()

    def loss(output, targets):
        if fails:
            raise RuntimeError("my own error")
        return nn.functional.cross_entropy(output, targets)

    if fails:
        with pytest.raises(RuntimeError, match="my own error"):
            wb.diagnose(model, batch, loss=loss)
    else:
        found = wb.diagnose(model, batch, loss=loss)
        assert [layer.name for layer in found.layers] == ["conv.weight", "twice.weight", "twice.weight", "head.weight"]
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert model.calls is calls
    assert model.training
    assert torch.equal(model.head.weight.grad, torch.ones_like(model.head.weight))
    assert model.conv.weight.grad is None
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_batches_with_and_without_targets(batch) -> None:
    x, y = batch
    model = mlp(nn.Tanh, 2)
    wb.initialize(model, x, seed=0)
    assert wb.diagnose(model, x).layers[0].gradient > 0
    assert wb.diagnose(model, (x, y)).loss == pytest.approx(wb.diagnose(model, [x, y]).loss)
    regression = wb.diagnose(model, (x, torch.zeros(128, 10)))
    assert regression.loss == pytest.approx(float(model(x).square().mean().detach()), rel=1e-5)


def test_bad_input_says_what_to_do(batch) -> None:
    with pytest.raises(ArgumentError, match="batch must be inputs or a pair"):
        wb.diagnose(mlp(nn.Tanh, 1), 64)
    with pytest.raises(ArgumentError, match="cannot read the input spec 'digits'"):
        wb.diagnose(mlp(nn.Tanh, 1), "digits")
    with pytest.raises(ArgumentError, match="without elements"):
        wb.diagnose(mlp(nn.Tanh, 1), batch[0][:0])
    with pytest.raises(ArgumentError, match="plan must be a plan"):
        wb.diagnose(mlp(nn.Tanh, 1), batch, plan="auto")
    with pytest.raises(ArgumentError, match=r"needs a torch\.nn\.Module"):
        wb.diagnose(lambda x: x, batch)
    with pytest.raises(ArgumentError, match="one element"):
        wb.diagnose(mlp(nn.Tanh, 1), batch, loss=lambda output, targets: output)


class Two(nn.Module):
    """Takes two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(64, 8), nn.Linear(64, 8), nn.Linear(8, 10)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.left(a) + self.right(b)))


def test_two_inputs_go_in_a_pair_of_their_own_or_by_name(batch) -> None:
    x, y = batch
    torch.manual_seed(0)
    model = Two()
    expected = float(nn.functional.cross_entropy(model(x, 2 * x), y).detach())
    assert wb.diagnose(model, ((x, 2 * x), y)).loss == pytest.approx(expected, rel=1e-6)
    assert wb.diagnose(model, ({"b": 2 * x, "a": x}, y)).loss == pytest.approx(expected, rel=1e-6)
    assert len(wb.diagnose(model, {"a": x, "b": x}).layers) == 3
    with pytest.raises(TraceError, match=r"\(inputs, targets\).*\(\(a, b\), targets\).*dictionary") as caught:
        wb.diagnose(model, (x, x))
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_forward_pass_that_fails_is_explained(batch) -> None:
    x, y = batch
    with pytest.raises(TraceError, match=r"Sequential fails on inputs of shape \(128, 63\).*cannot be mult") as caught:
        wb.diagnose(mlp(nn.Tanh, 1), (x[:, 1:], y))
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "((a, b), targets)" not in str(caught.value)


def test_targets_that_do_not_fit_are_explained(batch) -> None:
    x, y = batch
    model = mlp(nn.Tanh, 1)
    with pytest.raises(ArgumentError, match=r"\(128, 10\).*\(128, 1\)"):
        wb.diagnose(model, (x, torch.zeros(128, 1)))
    with pytest.raises(ArgumentError, match=r"\(128, 10\).*\(64,\)"):
        wb.diagnose(model, (x, y[:64]))
    for wrong in (10, -1):
        with pytest.raises(ArgumentError, match=rf"10 classes \(0 to 9\), and the targets hold {wrong};"):
            wb.diagnose(model, (x, y.clone().index_fill_(0, torch.tensor([5]), wrong)))
    with pytest.raises(ArgumentError, match=r"torch\.bool"):
        wb.diagnose(model, (x, y > 3))


def test_class_targets_take_the_forms_of_cross_entropy(batch) -> None:
    x, y = batch
    torch.manual_seed(0)
    model = mlp(nn.Tanh, 1)
    ignored = torch.where(y == 3, -100, y)
    expected = nn.functional.cross_entropy(model(x), ignored)
    assert wb.diagnose(model, (x, ignored.int())).loss == pytest.approx(float(expected.detach()), rel=1e-6)
    pixels = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 5, 3, padding=1))
    targets = torch.randint(5, (128, 8, 8))
    expected = nn.functional.cross_entropy(pixels(x), targets)
    assert wb.diagnose(pixels, (x, targets)).loss == pytest.approx(float(expected.detach()), rel=1e-6)


@pytest.mark.parametrize(("scale", "level"), [(1.0, None), (8.0, "warning"), (100.0, "error")])
def test_an_output_that_is_sure_of_itself_is_found(batch, scale, level) -> None:
    model = mlp(nn.Tanh, 2)
    wb.initialize(model, batch[0], seed=0)
    with torch.no_grad():
        model[-1].weight.mul_(scale)
    found = wb.diagnose(model, batch)
    sure = [finding for finding in found.findings if finding.kind == "overconfident"]
    assert [finding.level for finding in sure] == ([level] if level else [])
    for finding in sure:
        assert finding.layer == "4.weight"
        assert f"{found.loss:.3g}" in finding.message
        assert "ln 10 = 2.3" in finding.message
        assert finding.remedy == "scale the output layer down"
    own = wb.diagnose(model, batch, loss=nn.functional.cross_entropy)
    assert not any(finding.kind == "overconfident" for finding in own.findings)


@pytest.mark.parametrize(
    ("classes", "loss", "level"),
    [(10, 4.30, None), (10, 4.31, "warning"), (10, 23.02, "warning"), (10, 23.03, "error"), (2, 2.7, "warning")],
)
def test_the_bounds_of_an_overconfident_loss(classes, loss, level) -> None:
    found = find_faults(Facts((), loss, classes))
    assert [f.level for f in found if f.kind == "overconfident"] == ([level] if level else [])


@pytest.mark.parametrize("depth", [2, 20])
def test_no_network_that_auto_made_is_overconfident(batch, depth) -> None:
    for activation in (nn.Tanh, nn.ReLU, nn.GELU):
        for seed in range(5):
            model = mlp(activation, depth)
            wb.initialize(model, batch[0], seed=seed)
            assert not any(f.kind == "overconfident" for f in wb.diagnose(model, batch).findings)


def test_one_layer_is_no_layers(batch) -> None:
    model = mlp(nn.Tanh, 1)
    wb.initialize(model, batch[0], seed=0, recipe="zeros")
    text = " ".join(str(wb.diagnose(model, batch)).split())
    assert "1 of 1 hidden layer)" in text
    assert "1 hidden layers" not in text
    model = mlp(nn.Tanh, 1).requires_grad_(False)
    model[0].weight.requires_grad_(True)
    nn.init.zeros_(model[2].weight)
    assert "1 of 2 weights gets a gradient of exactly zero" in " ".join(str(wb.diagnose(model, batch)).split())


def test_text_and_json(batch) -> None:
    model = mlp(nn.ReLU, 20)
    wb.initialize(model, batch[0], seed=0, recipe="zeros")
    found = wb.diagnose(model, batch)
    record = json.loads(found.to_json())
    assert record["healthy"] is False
    assert record["layers"][0]["cosine"] is None  # nan is no JSON
    assert "symmetric" in str(found)
    assert "Mend:" in str(found)
    wb.initialize(model, batch[0], seed=0, overwrite=True)
    assert "no faults found" in str(wb.diagnose(model, batch))
