"""New rows of trained tables: their formula, what they do to the old answers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.sampler import Draw, Stream, write


class Model(nn.Module):
    """A table and a head of its own, with bias."""

    def __init__(self, size: int, width: int = 6) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(size, width), nn.Linear(width, size)

    def forward(self, tokens):
        return self.head(torch.tanh(self.embed(tokens)).mean(1))


def trained(old: int, new: int, width: int = 6) -> Model:
    """Rows with a mean and directions of very different size, so that a wrong covariance shows."""
    generator = torch.Generator().manual_seed(0)
    model = Model(old + new, width)
    mix = torch.diag(torch.logspace(-1, 1, width)) @ torch.randn(width, width, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
        for weight in (model.embed.weight, model.head.weight):
            weight[:old] = torch.randn(old, width, generator=generator) @ mix + torch.arange(width)
        model.head.bias[:old] = torch.randn(old, generator=generator)
    return model


def test_rows_by_the_formula_in_float64() -> None:
    old, new = 50, 4
    model = trained(old, new)
    table = model.embed.weight.detach().double().numpy()[:old]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = wb.plan_new_tokens(model, old, seed=3, spread=0.5)
    done = wb.apply(plan, model)
    assert done.elements == new * (6 + 6 + 1)
    z = np.empty((new, old), np.float32)
    write(z.reshape(-1), Draw.normal(0.0, 1.0), Stream.of(3, "embed.weight/new rows"), 0)
    expected = table.mean(0) + 0.5 / np.sqrt(old) * z.astype(np.float64) @ (table - table.mean(0))
    np.testing.assert_allclose(model.embed.weight.detach()[old:].numpy(), expected, rtol=1e-5, atol=1e-5)
    assert model.head.bias[old:].tolist() == pytest.approx([float(before["head.bias"][:old].double().mean())] * new)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor[:old], before[name][:old])
    assert not torch.equal(model.embed.weight[old:], model.head.weight[old:])


def test_the_covariance_is_that_of_the_old_rows() -> None:
    model = trained(40, 4000, width=3)
    plan = wb.plan_new_tokens(model, 40, seed=1, tables="embed.weight", spread=1.0)
    wb.apply(plan, model)
    table = model.embed.weight.detach().double().numpy()
    wanted, found = np.cov(table[:40].T, bias=True), np.cov(table[40:].T, bias=True)
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    np.testing.assert_allclose(found / scale, wanted / scale, atol=5 * np.sqrt(2 / 4000))
    assert torch.isnan(model.head.weight[40:]).all()  # only the table that was named


def test_the_old_answers_stay_what_they_were() -> None:
    """The one thing it is for: new tokens take their share of the probability, and random rows may take all of it."""
    old, new = 200, 4
    model = trained(old, new, width=32)
    tokens = torch.arange(64).reshape(16, 4)
    with torch.no_grad():
        model.embed.weight.nan_to_num_(0.0)
        before = torch.softmax(model(tokens)[:, :old], -1)
        wb.apply(wb.plan_new_tokens(model, old, seed=7), model)
        logits = model(tokens)
        after = torch.softmax(logits, -1)
    share = after[:, old:].sum(-1)
    # Hewitt: log p' >= log p - log(1 + k/n) for rows at the mean, by Jensen's inequality
    assert float(share.max()) <= 1.05 * new / (old + new)
    torch.testing.assert_close(after[:, :old] / (1 - share[:, None]), before, rtol=1e-4, atol=1e-7)


def test_a_tied_table_of_transformers_is_written_once() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=16, n_embd=16, n_layer=1, n_head=2))
    model.resize_token_embeddings(70, mean_resizing=False)
    plan = wb.plan_new_tokens(model, 64, seed=7)
    done = wb.apply(plan, model)
    assert (done.written, done.elements) == (1, 6 * 16)
    assert model.lm_head.weight is model.transformer.wte.weight
    assert wb.verify(plan, model)


def test_the_plan_is_data_and_survives_its_file(tmp_path) -> None:
    model = trained(50, 4)
    plan = wb.plan_new_tokens(model, 50, seed=3)
    plan.save(tmp_path / "plan.json")
    assert wb.load_plan(tmp_path / "plan.json") == plan
    assert "rows 50 to 53 are new: from N(mean, 1e-05·covariance)" in plan["embed.weight"].reason


def test_what_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"there is no row behind the first 54"):
        wb.plan_new_tokens(trained(50, 4), 54, seed=0)
    with pytest.raises(ArgumentError, match=r"its first 52 rows hold numbers that are not finite"):
        wb.plan_new_tokens(trained(50, 4), 52, seed=0)
    two = nn.ModuleList([nn.Embedding(5, 2), nn.Embedding(5, 2)])
    with pytest.raises(ArgumentError, match=r"2 tables of type nn.Embedding.*name it and the head"):
        wb.plan_new_tokens(two, 4, seed=0)
    with pytest.raises(ArgumentError, match=r"no tensor 'wte'"):
        wb.plan_new_tokens(trained(50, 4), 50, seed=0, tables=["wte"])
    with pytest.raises(ArgumentError, match="is on meta"), torch.device("meta"):
        wb.plan_new_tokens(Model(8), 6, seed=0)
    quantised = nn.Embedding(8, 4)
    quantised.weight = nn.Parameter(torch.zeros(8, 4, dtype=torch.int8), requires_grad=False)
    with pytest.raises(ArgumentError, match="before quantising"):
        wb.plan_new_tokens(quantised, 6, seed=0)


def test_no_tables_are_refused() -> None:
    for tables in ([], 3):
        with pytest.raises(ArgumentError, match="tables must be names of tensors"):
            wb.plan_new_tokens(nn.Embedding(4, 2), old=2, seed=0, tables=tables)
