"""What is said about losses and logits at step 0."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import transformers
from torch import nn

import wellbegun as wb
from wellbegun.diagnosis import Diagnosis, Finding

MADE = torch.Generator().manual_seed(0)
ROWS = torch.randn(200, 16, generator=MADE)


def network(scale: float = 1.0) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 4))
    wb.initialize(model, ROWS, seed=0)
    with torch.no_grad():
        model[2].weight.mul_(scale)
    return model


def kind(found: Diagnosis, name: str) -> Finding | None:
    return next((finding for finding in found.findings if finding.kind == name), None)


def test_the_prior_is_the_entropy_of_the_targets() -> None:
    rare = torch.zeros(200, dtype=torch.long)
    rare[:2], rare[2:4], rare[4:8] = 1, 2, 3
    shares = np.array([192, 2, 2, 4]) / 200
    found = wb.diagnose(network(), (ROWS, rare))
    assert found.facts.prior == pytest.approx(float(-(shares * np.log(shares)).sum()), rel=1e-12)
    note = kind(found, "prior")
    assert note is not None
    assert (note.level, note.layer, note.weights) == ("note", "2.weight", ())
    even = torch.arange(200) % 4
    assert kind(wb.diagnose(network(), (ROWS, even)), "prior") is None
    few = wb.diagnose(network(), (ROWS[:39], rare[:39]))
    assert math.isnan(few.facts.prior)  # fewer than ten targets for each class say little about their frequencies


def test_a_bias_that_knows_the_frequencies_meets_the_prior() -> None:
    rare = torch.zeros(200, dtype=torch.long)
    rare[:2], rare[2:4], rare[4:8] = 1, 2, 3
    model = network(0.0)
    with torch.no_grad():
        model[2].bias.copy_(torch.log(torch.tensor([192, 2, 2, 4]) / 200))
    found = wb.diagnose(model, (ROWS, rare))
    assert found.loss == pytest.approx(found.facts.prior, rel=1e-5)
    assert kind(found, "prior") is None


def test_logits_are_measured_about_the_mean_of_their_row() -> None:
    model = network()
    logits = model(ROWS).detach().double()
    found = wb.diagnose(model, (ROWS, torch.arange(200) % 4))
    by_hand = (logits - logits.mean(1, keepdim=True)).square().mean()
    assert found.facts.logits == pytest.approx(float(by_hand), rel=1e-5)


@pytest.mark.parametrize(("scale", "level"), [(1.0, None), (12.0, "warning"), (40.0, "error")])
def test_large_logits_without_a_loss_that_shows_them(scale: float, level: str | None) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = network(scale)

        def forward(self, x: torch.Tensor) -> transformers.utils.ModelOutput:
            return transformers.modeling_outputs.SequenceClassifierOutput(logits=self.inside(x))

    found = kind(wb.diagnose(Named(), ROWS), "large logits")
    assert (found.level if found else None) == level
    if found:
        assert found.layer == "inside.2.weight"


def test_the_loss_of_transformers_is_taken_where_labels_are_in_the_batch() -> None:
    config = transformers.GPT2Config(
        vocab_size=64, n_embd=32, n_layer=2, n_head=2, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config).eval()
    text = torch.randint(64, (8, 12), generator=MADE)
    found = wb.diagnose(model, {"input_ids": text, "labels": text})
    with torch.no_grad():
        assert found.loss == pytest.approx(float(model(input_ids=text, labels=text).loss), rel=1e-6)
    assert found.loss == pytest.approx(math.log(64), abs=0.3)
    assert found.healthy
