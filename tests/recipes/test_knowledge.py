"""What is known of a model: a factory, a skeleton and the model itself lead to one plan."""

import pytest
import torch
import transformers
from torch import nn

import wellbegun as wb

SMALL = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "state_size": 8,
}
KINDS = ("gpt2", "llama", "bert", "t5", "mamba", "vit", "clip_vision_model")


def build(kind: str) -> nn.Module:
    config = transformers.AutoConfig.for_model(kind, **SMALL, image_size=16, patch_size=8)
    return transformers.AutoModel.from_config(config)


@pytest.mark.parametrize("kind", KINDS)
def test_a_factory_a_skeleton_and_a_model_have_one_plan(kind: str) -> None:
    with wb.skeleton():
        skeleton = build(kind)
    plans = [wb.plan(model, seed=0) for model in (lambda: build(kind), skeleton, build(kind))]
    assert [plan.diff(plans[0]).changes if plan.diff(plans[0]) else () for plan in plans[1:]] == [(), ()]


def test_a_layer_of_ones_own_keeps_what_its_code_means() -> None:
    """A model that exists is asked too: its reset_parameters gives the gate a prior that auto would not know."""

    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)
            self.reset_parameters()

        def reset_parameters(self) -> None:
            nn.init.uniform_(self.layer.bias, -3.0, -1.0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(self.layer(x)) * x

    for model in (Gate, Gate()):
        assert wb.plan(model, "vector:8", seed=0)["layer.bias"].law == wb.Uniform(-3.0, -1.0)
