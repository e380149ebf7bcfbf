"""Building without memory: what the model is afterwards, and what is known about it."""

from __future__ import annotations

import copy
import pickle
import random
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.authors import record_construction, recorded
from wellbegun.errors import ArgumentError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 8, padding_idx=2)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 30, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("table", torch.arange(8.0).sqrt())
        self.register_buffer("noise", torch.randn(5))
        self.register_buffer("later", None)
        self.frozen = nn.Parameter(torch.zeros(3), requires_grad=False)
        self.frozen.mark = "kept"

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.embedding(tokens).mean(1)))


def test_parameters_are_on_meta_and_buffers_are_real() -> None:
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    with wb.skeleton():
        model = Net()
        random.random(), np.random.rand(), torch.rand(1)
    assert random.getstate() == states[0]
    assert (np.random.get_state()[1] == states[1]).all()
    assert (torch.get_rng_state() == states[2]).all()
    assert all(parameter.is_meta for parameter in model.parameters())
    assert all(type(parameter) is nn.Parameter for parameter in model.parameters())
    assert model.head.weight is model.embedding.weight
    assert model.embedding.weight.requires_grad
    assert not model.frozen.requires_grad
    assert model.frozen.mark == "kept"
    stock = dict(Net().named_buffers())
    for name, buffer in model.named_buffers():
        assert name == "noise" or torch.equal(buffer, stock[name])
    assert model.noise.std() > 0


def test_plan_and_apply() -> None:
    with wb.skeleton():
        model = Net()
    plan = wb.plan(model, "tokens:4", seed=7, recipe="author")
    assert plan.recipe == "author@0"
    assert {entry.name for entry in plan} == {
        "embedding.weight", "norm.weight", "norm.bias", "frozen", "table", "noise", "norm.running_mean",
        "norm.running_var", "norm.num_batches_tracked",
    }  # fmt: skip
    assert plan["head.weight"].name == "embedding.weight"
    applied = wb.apply(plan, model)
    assert (applied.kept, applied.tied) == (0, 1)
    assert (model.embedding.weight[2] == 0).all()
    assert abs(model.embedding.weight[3:].std().item() - 1) < 0.2
    assert torch.equal(model.table, torch.arange(8.0).sqrt())
    assert wb.plan(Net, "tokens:4", seed=7, recipe="author").hash == plan.hash
    assert plan["table"].reason.startswith("computed by Net.__init__ (test_skeleton.py:")


def test_the_buffers_of_a_skeleton_are_those_of_its_plan() -> None:
    model, _ = record_construction(Net, seed=0)
    before = model.noise.clone()
    wb.apply(wb.plan(model, "tokens:4", seed=0, recipe="author"), model)
    assert torch.equal(model.noise, before)


def test_several_models_parts_and_copies() -> None:
    with wb.skeleton():
        one, two = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2))
    model = nn.Sequential(one, two)
    assert set(recorded(model)) == {"0.weight", "0.bias", "1.0.weight", "1.0.bias"}
    twin = copy.deepcopy(model)
    assert dict(recorded(twin)) == dict(recorded(model))
    assert dict(recorded(pickle.loads(pickle.dumps(one)))) == dict(recorded(one))
    model[1][0] = nn.Linear(4, 3)
    assert set(recorded(model)) == {"0.weight", "0.bias"}
    assert recorded(nn.Linear(2, 2)) is None


def test_cloned_layers_get_numbers_of_their_own() -> None:
    """nn.TransformerEncoder copies one layer, so that all start equal (pytorch #72253)."""

    def build():
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        return nn.TransformerEncoder(layer, 3)

    stock = build()
    assert torch.equal(stock.layers[0].linear1.weight, stock.layers[2].linear1.weight)
    with wb.skeleton():
        model = build()
    plan = wb.plan(model, torch.zeros(1, 4, 16), seed=1, recipe="author")
    assert "copies layers.0.linear1.weight" in plan["layers.2.linear1.weight"].reason
    assert "copies" not in plan["layers.0.linear1.weight"].reason
    wb.apply(plan, model)
    assert not torch.equal(model.layers[0].linear1.weight, model.layers[2].linear1.weight)


def test_what_was_there_before_is_left_alone() -> None:
    backbone = nn.Linear(4, 4)
    before = backbone.weight.clone()
    with wb.skeleton():
        model = nn.Sequential(backbone, nn.Linear(4, 2))
    assert torch.equal(model[0].weight, before)
    assert model[1].weight.is_meta
    found = recorded(model)
    assert "0.weight" not in found
    assert found["1.weight"].law is not None
    with pytest.raises(ArgumentError, match="was there before"):
        record_construction(lambda: backbone)
    with pytest.raises(ArgumentError, match=r"needs a torch.nn.Module, got int"):
        record_construction(lambda: 3)


def test_an_error_in_the_constructor_leaves_nothing_behind() -> None:
    with pytest.raises(ZeroDivisionError), wb.skeleton():
        nn.Linear(4, 1 // 0)
    assert not nn.Linear(4, 4).weight.is_meta
    from torch.nn.modules import module

    assert not module._global_parameter_registration_hooks
    assert not module._global_buffer_registration_hooks
    assert not module._global_module_registration_hooks


def test_models_on_meta_are_seen_too() -> None:
    with wb.skeleton(), torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    assert all(authorship.law is not None for authorship in recorded(model).values())
    plan = wb.plan(model, "vector:4", seed=1, recipe="author")
    wb.apply(plan, model)
    assert torch.equal(model[1].running_var, torch.ones(4))


LARGE = """
import time, transformers
from transformers import LlamaConfig, LlamaForCausalLM
from wellbegun.authors import record_construction
transformers.logging.set_verbosity_error()
config = LlamaConfig(hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
                     num_key_value_heads=8, vocab_size=128256)
start = time.perf_counter()
model, authored = record_construction(lambda: LlamaForCausalLM(config))
seconds = time.perf_counter() - start
assert sum(p.numel() for p in model.parameters()) > 70e9
assert all(a.law is not None for a in authored.values())
status = dict(line.split(":", 1) for line in open("/proc/self/status"))  # ru_maxrss would count the parent's pages
print(seconds, int(status["VmHWM"].split()[0]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from Linux")
def test_seventy_billion_parameters() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    seconds, mebibytes = map(float, done.stdout.split())
    assert mebibytes < 768
    assert seconds < 30  # 1.4 s on two cores; a machine under load gets some room


def test_a_large_layer_takes_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with wb.skeleton():
        model = nn.Sequential(*(nn.Linear(16384, 16384) for _ in range(4)))
        nn.init.orthogonal_(model[0].weight)
        nn.init.trunc_normal_(model[1].weight, std=0.02)
        model.zeros = nn.Parameter(torch.zeros(16384, 16384))
        model.noise = nn.Parameter(torch.randn(16384, 16384) * torch.ones(16384, 16384))
    assert recorded(model)["0.weight"].law == wb.Orthogonal(1.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # 4 GiB if they were made
