"""Recipes of single papers: what each puts where, against NumPy float64, and the one thing that each is for."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError


def plan(model, inputs, recipe):
    return wb.plan(model, inputs, seed=0, recipe=recipe)


class Recurrent(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.out = layer, nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.layer(x)[0][:, -1])


STEPS = torch.zeros(2, 6, 4)


def selu_chain(depth, width=256):
    layers = [step for _ in range(depth) for step in (nn.Linear(width, width), nn.SELU())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def test_selu_holds_mean_0_and_variance_1_over_fifty_layers() -> None:
    model = selu_chain(50)
    made = wb.initialize(model, "vector:256", seed=1, recipe="selu")
    assert {entry.law for entry in made if entry.role == "linear weight"} == {wb.Normal(1 / 16)}
    x = torch.randn(512, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        signal = model[:-1](x).double()
    assert abs(float(signal.mean())) < 0.1
    assert float(signal.var()) == pytest.approx(1.0, abs=0.25)
    assert plan(
        nn.Sequential(nn.Linear(4, 4), nn.SELU(), nn.AlphaDropout(0.1), nn.Linear(4, 1), nn.Sigmoid()), None, "selu"
    )
    with pytest.raises(PlanError, match="SELU alone, and this model has relu"):
        plan(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), None, "selu")
    with pytest.raises(PlanError, match="has no activation"):
        plan(nn.Linear(4, 2), None, "selu")


class Graph(nn.Module):
    """A sum, a product, both pools and a concatenation, each in front of a layer of its own."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)
        self.of_sum, self.of_product, self.of_both = nn.Linear(16, 4), nn.Linear(16, 4), nn.Linear(32, 4)
        self.of_mean, self.of_max = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        a, b = torch.relu(self.a(x)), torch.sigmoid(self.b(x))
        mean, largest = F.avg_pool1d(a[:, None], 4)[:, 0], F.max_pool1d(self.a(x)[:, None], 4)[:, 0]
        return (
            self.of_sum(a + b), self.of_product(a * b), self.of_both(torch.cat([a, b], 1)), self.of_mean(mean),
            self.of_max(largest),
        )  # fmt: skip


def test_autoinit_follows_mean_and_variance_by_the_formulas() -> None:
    made = plan(Graph(), torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), "autoinit")
    z, weight = np.polynomial.hermite_e.hermegauss(160)
    weight = weight / weight.sum()
    s = 1 / (1 + np.exp(-z))
    relu, sigmoid = (1 / math.sqrt(2 * math.pi), 0.5 - 0.5 / math.pi), (0.5, float(weight @ s**2) - 0.25)
    second = [variance + mean**2 for mean, variance in (relu, sigmoid)]
    expected = {
        "of_sum": relu[1] + sigmoid[1] + (relu[0] + sigmoid[0]) ** 2,
        "of_product": second[0] * second[1],
        "of_both": (second[0] + second[1]) / 2,
        "of_mean": relu[1] / 4 + relu[0] ** 2,
        "of_max": 1.55132889542,  # the second moment of the largest of four normal numbers
    }
    for name, moment in expected.items():
        inputs = made[f"{name}.weight"].shape[1]
        assert made[f"{name}.weight"].law.std == pytest.approx(math.sqrt(1 / (inputs * moment)), rel=2e-5), name
        assert made[f"{name}.weight"].before == pytest.approx(moment, rel=4e-5)


def test_autoinit_keeps_relu_and_says_what_it_has_no_formula_for() -> None:
    model = nn.Sequential(*[step for _ in range(20) for step in (nn.Linear(256, 256), nn.ReLU())])
    wb.initialize(model, x := torch.randn(64, 256), seed=0, recipe="autoinit")
    with torch.no_grad():
        assert float(model[:-1](x).square().mean()) == pytest.approx(1.0, abs=0.5)
    with pytest.raises(ArgumentError, match="distribution"):
        plan(model, None, "autoinit(distribution='orthogonal')")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside, self.out = nn.Linear(8, 20), nn.Linear(20, 8)

    def forward(self, x):
        return x + self.out(torch.relu(self.inside(x)))


def test_idinit_starts_as_the_identity_without_a_seed() -> None:
    """What it is for: two seeds give one network, and its blocks add a millionth."""
    model, results = nn.Sequential(Block(), Block()), []
    x = torch.randn(5, 8)
    for seed in (1, 2):
        wb.initialize(model, "vector:8", seed=seed, recipe="idinit", overwrite=True)
        results.append(model(x).detach())
    assert torch.equal(*results)
    torch.testing.assert_close(results[0], x, rtol=0, atol=3e-5)
    model(x).sum().backward()
    assert model[0].inside.weight.grad.any()  # zeros at the end would let no gradient in
    with pytest.raises(PlanError, match="kernel of a convolution"):
        plan(nn.Conv2d(3, 3, 3), "image:3x8x8", "idinit")


def test_zero_is_hadamard_with_zeros_at_the_ends() -> None:
    made = plan(nn.Sequential(Block(), Block()), "vector:8", "zero_residual(base='hadamard')")
    assert made["0.inside.weight"].law == wb.Hadamard()
    assert made["0.out.weight"].law == wb.Constant(0.0)


def test_a_law_learns_from_the_operation_which_dimension_the_inputs_are() -> None:
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(4, 8))

        def forward(self, x):
            return x @ self.w

    model = Turned()
    made = wb.initialize(model, "vector:4", seed=0, recipe="hadamard")
    assert made["w"].law == wb.Hadamard(inputs_first=True)
    values = torch.linalg.svdvals(model.w.detach())
    torch.testing.assert_close(values, torch.ones(4))


def test_irnn_carries_a_number_through_a_thousand_steps() -> None:
    """What it is for: what the first step leaves in the state is there a thousand steps later, to the bit."""
    model = Recurrent(nn.RNN(4, 8, nonlinearity="relu", batch_first=True))
    made = wb.initialize(model, STEPS, seed=0, recipe="irnn")
    assert made["layer.weight_hh_l0"].law == wb.Identity()
    assert made["layer.bias_hh_l0"].law == wb.Constant(0.0)
    assert made["out.weight"].law == plan(model, STEPS, "auto")["out.weight"].law
    x = torch.zeros(1, 1000, 4)
    x[:, 0] = 1
    with torch.no_grad():
        states, _ = model.layer(x)
    assert states[0, 0].any()
    assert torch.equal(states[0, 0], states[0, -1])
    with pytest.raises(PlanError, match="goes through tanh"):
        plan(Recurrent(nn.RNN(4, 8, batch_first=True)), STEPS, "irnn")
    with pytest.raises(PlanError, match="has gates"):
        plan(Recurrent(nn.LSTM(4, 8, batch_first=True)), STEPS, "irnn")
    with pytest.raises(PlanError, match="no recurrent layer"):
        plan(nn.Linear(4, 3), None, "irnn")


@pytest.mark.parametrize(("value", "half_life"), [(0.0, 1.0), (1.0, 2.21), (2.0, 5.46)])
def test_a_forget_bias_is_a_half_life(value, half_life) -> None:
    """Of the state of a real LSTM that sees zeros."""
    model = Recurrent(nn.LSTM(4, 8, batch_first=True))
    wb.initialize(model, STEPS, seed=0, recipe=f"forget_bias(value={value})")
    _, (_, state) = model.layer(torch.zeros(1, 1, 4), (torch.zeros(1, 1, 8), torch.ones(1, 1, 8)))
    kept = float(state.mean().detach())
    assert kept == pytest.approx(1 / (1 + math.exp(-value)), rel=1e-6)
    assert math.log(0.5) / math.log(kept) == pytest.approx(half_life, abs=0.005)


def test_chrono_sets_every_lstm_and_refuses_others() -> None:
    layer = nn.LSTM(4, 8, num_layers=2, bidirectional=True, batch_first=True)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x)[0]

    made = plan(Model(), STEPS, "chrono(longest=50)")
    laws = {name: made[f"layer.{name}"].law for name, _ in layer.named_parameters() if name.startswith("bias")}
    assert len(laws) == 8
    assert {law for name, law in laws.items() if "ih" in name} == {wb.ChronoBias(50)}
    assert {law for name, law in laws.items() if "hh" in name} == {wb.Constant(0.0)}
    with pytest.raises(PlanError, match="this recipe is for LSTMs"):
        plan(Recurrent(nn.GRU(4, 8, batch_first=True)), STEPS, "chrono(longest=50)")
    with pytest.raises(PlanError, match="no LSTM"):
        plan(nn.Linear(4, 4), None, "forget_bias")
    with pytest.raises(ArgumentError, match="above 2 steps"):
        plan(nn.Linear(4, 4), None, "chrono(longest=2)")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["Mamba", "Mamba2"])
def test_mambas_own_parameters_survive_a_rule_for_all_weights(kind) -> None:
    """What it is for: rates and steps of the published ranges in a real model whose weights follow another rule."""
    import transformers

    sizes = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "state_size": 8}
    sizes |= {"num_heads": 32, "head_dim": 2, "n_groups": 2, "chunk_size": 8} if kind == "Mamba2" else {}
    model = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**sizes))
    made = wb.initialize(model, {"input_ids": torch.arange(12).reshape(1, 12)}, seed=3, recipe="mamba(base='author')")
    held = dict(model.named_parameters())
    rates = next(value for name, value in held.items() if name.endswith("A_log")).detach().double().exp()
    if kind == "Mamba":
        torch.testing.assert_close(rates, torch.arange(1.0, 9, dtype=torch.float64).expand_as(rates), rtol=1e-6, atol=0)
    else:
        assert 1 - 1e-6 <= float(rates.min()) < float(rates.max()) <= 16 + 1e-5
    ending = "dt_proj.bias" if kind == "Mamba" else "dt_bias"
    steps = F.softplus(next(value for name, value in held.items() if name.endswith(ending)).detach().double())
    assert 0.001 * (1 - 1e-4) <= float(steps.min()) < float(steps.max()) <= 0.1 * (1 + 1e-4)
    assert {entry.law for entry in made if entry.name.endswith(".D")} == {wb.Constant(1.0)}
    with pytest.raises(PlanError, match="no parameter A_log"):
        plan(nn.Linear(4, 4), None, "mamba")


def siren(omega):
    class Sine(nn.Linear):
        def forward(self, x):
            return torch.sin(omega * super().forward(x))

    return nn.Sequential(Sine(2, 1024), Sine(1024, 1024), Sine(1024, 1024), Sine(1024, 1024), nn.Linear(1024, 1))


@pytest.mark.parametrize("omega", [30.0, 5.0])
def test_sirens_phases_have_the_exact_second_moment(omega) -> None:
    """q = 2·E sin² = 1 - exp(-2q) without biases: 0.7968121300, and not the 1 that the paper says, at any omega_0."""
    model, found = siren(omega), []
    for seed in range(4):
        wb.initialize(model, "vector:2", seed=seed, recipe=f"siren(omega_0={omega})", overwrite=True)
        x = torch.rand(512, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        with torch.no_grad():
            for layer in list(model)[:-1]:
                layer.bias.zero_()
                phases = omega * F.linear(x, layer.weight)
                x = layer(x)
        found.append(float(phases.double().square().mean()))
    assert np.mean(found) == pytest.approx(0.79681213, rel=0.05)
    q = 0.7968121300
    assert 1 - math.exp(-2 * q) == pytest.approx(q, abs=1e-9)


def test_finer_checks_its_activation_and_spreads_the_first_biases() -> None:
    class Layer(nn.Linear):
        def forward(self, x):
            z = super().forward(x)
            with torch.no_grad():
                factor = z.abs() + 1
            return torch.sin(30 * factor * z)

    model = nn.Sequential(Layer(2, 64), Layer(64, 64), nn.Linear(64, 1))
    made = plan(model, "vector:2", "finer(omega_0=30, first_bias=3)")
    bound = math.sqrt(6 / 64) / 30
    assert made["0.weight"].law == wb.Uniform(-0.5, 0.5)
    assert made["1.weight"].law.high == made["2.weight"].law.high == pytest.approx(bound, rel=1e-6)
    assert made["0.bias"].law == wb.Uniform(-3.0, 3.0)
    assert made["1.bias"].law == wb.Uniform(-0.125, 0.125)
    for recipe, network in (("finer(omega_0=10)", model), ("finer", siren(30.0)), ("finer", nn.Linear(2, 1))):
        with pytest.raises(PlanError, match="finer@1 is for networks of sin"):
            plan(network, "vector:2", recipe)


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(32, 4, bias=False)
        self.experts = nn.Parameter(torch.zeros(4, 32, 64))

    def forward(self, x):
        shares = torch.softmax(self.router(x), -1)
        return (torch.einsum("bi,eio->beo", x, self.experts) * shares[..., None]).sum(1)


def test_switch_gives_each_expert_a_tenth_and_routes_evenly() -> None:
    """What it is for: std sqrt(0.1/fan_in) by each expert's own fans, no two alike, and even shares to the bit."""
    model = Experts()
    made = wb.initialize(model, "vector:32", seed=0, recipe="switch(zero_routers='router')")
    law = made["experts"].law
    assert law.moments((4, 32, 64))[1] == pytest.approx(math.sqrt(0.1 / 32), rel=1e-6)
    assert len({expert.detach().numpy().tobytes() for expert in model.experts}) == 4
    shares = torch.softmax(model.router(torch.randn(7, 32)), -1)
    assert torch.equal(shares, torch.full((7, 4), 0.25))
    small = plan(model, "vector:32", "switch")["router.weight"].law
    assert small.moments((4, 32))[1] == pytest.approx(math.sqrt(0.1 / 32), rel=1e-6)
    with pytest.raises(PlanError, match="no weight is called 'gate'"):
        plan(model, "vector:32", "switch(zero_routers='gate')")


def test_the_prior_starts_a_real_loss_at_its_entropy() -> None:
    """Exactly with output weights of 0 (0.0560015 for 1%), within 2% at std 0.01; K classes at their entropy."""
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 1))
    x, target = torch.randn(1000, 20, generator=torch.Generator().manual_seed(0)), torch.zeros(1000, 1)
    target[:10] = 1
    for std, tolerance in ((0, 1e-6), (0.01, 0.02)):
        wb.initialize(model, x, seed=0, recipe=f"prior(prior=0.01, std={std})", overwrite=True)
        loss = float(F.binary_cross_entropy_with_logits(model(x).detach().double(), target.double()))
        assert loss == pytest.approx(0.0560015, rel=tolerance)
    shares = (0.6, 0.3, 0.1)
    classes = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 3))
    wb.initialize(classes, x, seed=0, recipe=f"prior(prior={shares}, std=0)", overwrite=True)
    labels = torch.tensor([0] * 600 + [1] * 300 + [2] * 100)
    entropy = -sum(share * math.log(share) for share in shares)
    assert float(F.cross_entropy(classes(x).detach(), labels)) == pytest.approx(entropy, rel=1e-6)
    with pytest.raises(PlanError, match="no bias that could hold the prior"):
        plan(nn.Linear(4, 2, bias=False), None, "prior")
    with pytest.raises(PlanError, match=r"2\.bias"):  # four shares for three classes
        plan(classes, None, "prior(prior=(0.25, 0.25, 0.25, 0.25))")


def test_ppos_policy_starts_almost_even() -> None:
    """What it is for: with gain 0.01 no action is more likely than another by more than a percent or so."""

    class Agent(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.pi, self.v = nn.Linear(8, 64), nn.Linear(64, 4), nn.Linear(64, 1)

        def forward(self, x):
            h = torch.tanh(self.body(x))
            return self.pi(h), self.v(h)

    agent = Agent()
    wb.initialize(agent, "vector:8", seed=0, recipe="ppo(policy='pi', value='v')")
    shares = torch.softmax(agent(torch.randn(500, 8))[0].detach(), -1)
    assert float((shares - 0.25).abs().max()) < 0.02


def test_orthogonal_kernels_get_the_factor_of_their_matrix() -> None:
    model = nn.Sequential(nn.Conv2d(2, 64, 3), nn.Conv2d(64, 64, 3), nn.Flatten(), nn.Linear(1024, 10))
    made = plan(model, "image:2x8x8", "scaled_orthogonal(gain=1)")
    assert made["0.weight"].law == wb.Orthogonal(math.sqrt(64 / 18))
    assert made["1.weight"].law == wb.Orthogonal(1.0)
