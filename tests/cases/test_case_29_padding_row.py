"""Case 29: the padding row is zero, the other rows keep their bits, None changes nothing, and there is a way out."""

import pytest
import torch
from torch import nn

import wellbegun as wb


def table(padding: int | None) -> nn.Module:
    return nn.Sequential(nn.Embedding(50, 16, padding_idx=padding), nn.Linear(16, 4))


def rows(padding: int | None, **more: object) -> torch.Tensor:
    model = table(padding)
    wb.initialize(model, "tokens:8", seed=3, **more)
    return model[0].weight.detach().clone()


RULES = [None, {"0.weight": wb.Normal(std=0.02)}, {"*": wb.TruncatedNormal(0.02)}, {nn.Embedding: wb.Orthogonal()}]


@pytest.mark.parametrize("rules", RULES, ids=["auto", "by name", "by glob", "a structured law"])
@pytest.mark.parametrize("row", [0, 7, 49])
def test_the_row_is_zero_and_the_others_keep_their_bits(row: int, rules: object) -> None:
    padded, plain = rows(row, rules=rules), rows(None, rules=rules)
    assert (padded[row] == 0).all()
    others = torch.arange(50) != row
    assert torch.equal(padded[others], plain[others])
    assert plain[row].abs().min() > 0  # without a padding row nothing is zero


def test_every_recipe_keeps_the_row_zero() -> None:
    for recipe in ("he", "xavier", "torch@1", "bert@1", "author"):
        found = rows(1, recipe=recipe)
        assert (found[1] == 0).all(), recipe
        assert found[2].abs().min() > 0, recipe


def test_a_part_of_the_table_holds_what_the_whole_holds() -> None:
    model = table(7)
    plan = wb.plan(model, "tokens:8", seed=3)
    whole = wb.to_numpy(plan, "0.weight")
    for first, last in ((0, 7), (5, 12), (7, 8), (8, 50)):
        assert (wb.to_numpy(plan, "0.weight", (slice(first, last), slice(0, 16))) == whole[first:last]).all()


def test_ways_out() -> None:
    """Draw the row like the others: plan without padding_idx. Leave the whole table as it is: Keep."""
    model = table(1)
    model[0].padding_idx = None
    wb.initialize(model, "tokens:8", seed=3)
    assert torch.equal(model[0].weight, rows(None))
    model = table(1)
    with torch.no_grad():
        model[0].weight.fill_(2.0)
    wb.initialize(model, "tokens:8", seed=3, rules={"0.weight": wb.Keep()})
    assert (model[0].weight == 2).all()
