"""wb.advise: for each kind of network the right method is among the three, the wrong one below, with a reason."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.laws import DeltaOrthogonal, MeanCompensation, MirroredOrthogonal, Orthogonal


def mlp(activation: type[nn.Module], depth: int, width: int = 32) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 4))


def tanh_cnn(depth: int = 9) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Conv2d(8 if i else 1, 8, 3, padding=1), nn.Tanh()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


class BareResidual(nn.Module):
    """Residual branches without any normalisation."""

    def __init__(self, blocks: int = 16, width: int = 32) -> None:
        super().__init__()
        self.inside = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.outside = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.head = nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for inside, outside in zip(self.inside, self.outside, strict=True):
            x = x + outside(torch.relu(inside(x)))
        return self.head(x)


class Encoder(nn.Module):
    """PyTorch's transformer encoder, post-norm as its default is."""

    def __init__(self, norm_first: bool = False, layers: int = 3) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 32)
        layer = nn.TransformerEncoderLayer(32, 2, 64, batch_first=True, dropout=0.0, norm_first=norm_first)
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(32, 50)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.table(tokens)))


class Memory(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.memory, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.memory(x)[0][:, -1])


class Sine(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(30 * x)


def siren() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(2, 32), Sine()]
    for _ in range(3):
        layers += [nn.Linear(32, 32), Sine()]
    return nn.Sequential(*layers, nn.Linear(32, 3))


class StateSpace(nn.Module):
    """Mamba's own parameters, under their names, in a network without anything else."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.out = nn.Linear(8, 8), nn.Linear(8, 4)
        self.A_log, self.dt_bias = nn.Parameter(torch.zeros(8)), nn.Parameter(torch.zeros(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        step = torch.nn.functional.softplus(self.inside(x) + self.dt_bias)
        return self.out(torch.exp(-step * torch.exp(self.A_log)) * x)


def names(advice) -> list[str]:
    return [name for choice in advice.choices for name in (choice.name, *choice.also)]


def laws(choice) -> set[type]:
    return {type(entry.law) for entry in choice.plan}


def said_of(advice, name: str) -> str:
    return next(refusal.reason for refusal in advice.wrong if refusal.name == name)


def test_a_deep_relu_network_is_mirrored_and_xavier_fades() -> None:
    found = wb.advise(lambda: mlp(nn.ReLU, 12), "vector:32")
    assert names(found)[:2] == ["auto", "looks_linear"]
    assert all(MirroredOrthogonal in laws(choice) for choice in found.choices[:2])
    assert found.best.score == pytest.approx(0, abs=1e-3)
    assert "xavier" not in names(found)
    assert "it is for an odd activation" in said_of(found, "xavier")
    assert "isometry score -4" in said_of(found, "xavier")
    assert "vanishing" in said_of(found, "author")
    assert found.healthy


def test_a_sigmoid_network_has_its_mean_taken_out_and_xavier_collapses() -> None:
    found = wb.advise(lambda: mlp(nn.Sigmoid, 6), "vector:32")
    assert {"mean_compensated", "kumar"} <= set(names(found))
    assert MeanCompensation in laws(found.best)
    assert not found.best.warnings
    assert "collapsed" in said_of(found, "xavier")
    assert "the network has forgotten its input" in said_of(found, "xavier")


def test_a_tanh_network_is_orthogonal_at_a_critical_point_and_he_is_for_another_activation() -> None:
    found = wb.advise(lambda: mlp(nn.Tanh, 12), "vector:32")
    assert {"auto", "critical"} <= set(names(found))
    assert all(Orthogonal in laws(choice) for choice in found.choices[:2])
    assert "it is for an activation of two straight parts" in said_of(found, "he")
    assert "saturated" in said_of(found, "normal")


def test_a_plain_tanh_cnn_gets_delta_orthogonal_kernels() -> None:
    found = wb.advise(tanh_cnn, "image:1x8x8")
    assert any(DeltaOrthogonal in laws(choice) for choice in found.choices)
    assert "delta_orthogonal" in names(found) + list(found.others)  # at its own gain, not the critical one
    assert "products" not in found.traits
    assert "saturated" in said_of(found, "normal")


def test_bare_residual_branches_start_at_zero_and_he_grows() -> None:
    found = wb.advise(BareResidual, "vector:32")
    assert {"auto", "fixup"} <= set(names(found))
    assert "skip_init" not in names(found)  # there is no number that it could start at 0
    assert found.best.name == "auto"
    assert "zero_residual" in found.best.also  # methods of the same numbers are one choice
    assert len(names(found)) == len(set(names(found)))
    assert "residual growth" in said_of(found, "he")
    assert "it is not for residual branches without normalisation" in said_of(found, "he")
    assert found.best.score is None


def test_an_lstm_keeps_its_memory() -> None:
    found = wb.advise(Memory, "float:12x8")
    assert {"auto", "forget_bias", "chrono"} <= set(names(found))
    chrono = next(choice for choice in found.choices if choice.name == "chrono")
    assert chrono.needs == ("your own longest: longest delay in steps, above 2.",)
    assert any(refusal.refused and "weight_ih_l0" in refusal.reason for refusal in found.wrong if refusal.name == "he")


def test_a_network_of_sines_has_the_laws_of_sines_and_explodes_from_all_others() -> None:
    found = wb.advise(siren, "vector:2")
    assert {choice.name for choice in found.choices} == {"siren", "siren_chi1"}
    assert "auto" in next(choice for choice in found.choices if choice.name == "siren").also
    assert found.others == ()
    assert all("exploding" in said_of(found, name) for name in ("xavier", "author", "he", "normal"))
    assert set(found.traits.values()) == {
        "its layers are matrix products",
        "no normalisation, no shortcut, no recurrence",
        "its activation is a sine",
    }


def test_a_usual_method_that_nothing_speaks_against_is_possible_and_not_wrong() -> None:
    found = wb.advise(lambda: mlp(nn.ReLU, 6), "vector:32")
    assert "he" in found.others
    assert "he" not in {refusal.name for refusal in found.wrong}


def test_a_network_that_starts_at_0_says_that_no_gradient_is_behind_its_first_layer() -> None:
    found = wb.advise(BareResidual, "vector:32", most=9)
    fixup = next(choice for choice in found.choices if choice.name == "fixup")
    assert fixup.gradient == 0
    assert "no gradient behind the first layer yet" in fixup.reasons[-1]


def test_the_code_of_a_choice_has_the_seed_of_the_advice() -> None:
    found = wb.advise(lambda: mlp(nn.ReLU, 2), "vector:32", seed=3)
    assert found.best.code == 'plan(model, batch, seed=3, recipe="auto@0")'


def test_a_state_space_model_gets_its_decay_rates() -> None:
    found = wb.advise(StateSpace, "vector:8")
    assert names(found)[0] == "mamba"
    assert "decay rates A_log" in found.best.reasons[0]


@pytest.mark.slow
def test_a_post_norm_encoder_gets_deepnorm_which_says_what_the_forward_pass_lacks() -> None:
    found = wb.advise(Encoder, "tokens:12")
    assert {"auto", "deepnorm"} <= set(names(found))
    deepnorm = next(choice for choice in found.choices if choice.name == "deepnorm")
    assert any("times 1.56508, and the forward pass has 1" in need for need in deepnorm.needs)
    assert "bert" not in names(found)[:2]


@pytest.mark.slow
def test_a_gpt_gets_auto_and_gpt2() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        n_layer=3, n_head=2, n_embd=32, vocab_size=80, n_positions=32, bos_token_id=0, eos_token_id=0
    )
    found = wb.advise(transformers.GPT2LMHeadModel._from_config(config).eval())
    assert {"auto", "gpt2"} <= set(names(found))
    assert "deepnorm" not in names(found) + list(found.others)
    assert "saturated" in said_of(found, "normal")


@pytest.mark.slow
def test_a_pre_norm_encoder_is_scaled_at_its_branches() -> None:
    found = wb.advise(lambda: Encoder(norm_first=True), "tokens:12", most=6)
    assert {"auto", "small_init"} <= set(names(found))
    assert {"scaled_residual", "zero_residual"} <= set(names(found)) | set(found.others)


def test_a_shallow_network_gets_nothing_that_is_for_deep_ones() -> None:
    found = wb.advise(lambda: mlp(nn.ReLU, 2), "vector:32")
    assert {"auto", "gain_forward", "he"} <= set(names(found))
    assert not {"looks_linear", "orthogonal", "critical"} & (set(names(found)) | set(found.others))


def test_a_wish_for_shared_rates_brings_mup_in_with_what_it_needs() -> None:
    found = wb.advise(lambda: mlp(nn.ReLU, 2), "vector:32", shared_rates=True)
    mup = next(choice for choice in found.choices if choice.name == "mup")
    assert any(need.startswith("your own base_width") for need in mup.needs)
    assert any("param_groups" in need for need in wb.advise(mlp(nn.ReLU, 2, 128), shared_rates=True).choices[1].needs)


def test_with_data_methods_that_measure_are_tried_and_the_model_is_left_as_it_was() -> None:
    model = mlp(nn.GELU, 3)
    data = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    found = wb.advise(model, (data, torch.zeros(64, dtype=torch.long)), most=20)
    assert {"calibrate", "standardize"} <= set(names(found))
    calibrated = next(choice for choice in found.choices if choice.name == "calibrate")
    assert calibrated.needs == ("a batch of real inputs",)
    assert calibrated.code.startswith("calibrate(wb.plan(")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert "calibrate" not in names(wb.advise(model, "vector:32", most=20))


def test_the_same_model_gets_the_same_advice() -> None:
    first, second = (wb.advise(lambda: mlp(nn.ReLU, 2), "vector:32") for _ in range(2))
    assert first.to_json() == second.to_json()


def test_a_model_on_meta_is_judged_by_theory() -> None:
    with wb.skeleton():
        model = mlp(nn.ReLU, 12)
    found = wb.advise(model, "vector:32")
    assert found.source == "theory"
    assert found.best.name == "auto"
    assert found.best.reasons[-1].startswith("By theory: nothing wrong")
    assert "vanishing" in said_of(found, "author")


def test_the_best_plan_can_be_applied() -> None:
    model = mlp(nn.ReLU, 2)
    best = wb.advise(model, "vector:32").best
    wb.apply(best.plan, model)
    assert wb.diagnose(model, "vector:32").healthy
    assert best.plan.hash == wb.plan(model, "vector:32", seed=7, recipe=best.recipe).hash


def test_the_record_is_json_and_says_the_same() -> None:
    found = wb.advise(lambda: mlp(nn.Tanh, 2), "vector:32")
    record = json.loads(found.to_json())
    assert record["schema"] == "wellbegun.advice/1"
    assert [choice["name"] for choice in record["choices"]] == [choice.name for choice in found.choices]
    assert math.isclose(record["choices"][0]["signal"], found.best.signal)
    assert record["healthy"] is True
    text = str(found)
    assert "1. auto" in text
    assert "Not here" in text


def test_a_network_that_nothing_can_start_well_is_not_healthy() -> None:
    class Silent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) * 0

    found = wb.advise(Silent, "vector:8")
    assert not found.healthy
    assert len(found.choices) == 1


@pytest.mark.parametrize("most", [0, True, 1.5])
def test_a_wrong_number_of_choices_is_refused(most) -> None:
    with pytest.raises(ArgumentError, match="most must be a whole number"):
        wb.advise(mlp(nn.ReLU, 1), "vector:32", most=most)
