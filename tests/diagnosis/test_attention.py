"""The sample of an attention's rows against the whole attention, written out in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.diagnosis import attention


def by_hand(query: torch.Tensor, key: torch.Tensor, allowed: np.ndarray) -> tuple[float, float, float]:
    scores = query.double().numpy() @ key.double().numpy().swapaxes(-1, -2) / math.sqrt(query.shape[-1])
    spreads, entropies, places = [], [], []
    for row, may in zip(
        scores.reshape(-1, scores.shape[-1]),
        np.broadcast_to(allowed, scores.shape).reshape(-1, scores.shape[-1]),
        strict=True,
    ):
        if may.sum() > 1:
            p = np.exp(row[may] - row[may].max())
            p /= p.sum()
            spreads.append(row[may].std())
            entropies.append(-(p * np.log(p)).sum() / math.log(may.sum()))
            places.append(may.sum())
    return float(np.mean(spreads)), float(np.mean(entropies)), float(np.mean(places))


@pytest.mark.parametrize("how", ["free", "causal", "masked", "added"])
def test_products(how: str) -> None:
    made = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 4, 16, 8, generator=made) for _ in range(3))
    allowed = np.ones((16, 16), bool) if how == "free" else np.tril(np.ones((16, 16), bool))
    given = {
        "free": {},
        "causal": {"is_causal": True},
        "masked": {"attn_mask": torch.tensor(allowed)},
        "added": {"attn_mask": torch.zeros(16, 16).masked_fill(~torch.tensor(allowed), -1e9)},
    }[how]
    found = attention.of_products((query, key, value), given)
    assert found == pytest.approx(by_hand(query, key, allowed), rel=1e-9)


def test_shared_keys_belong_to_several_heads() -> None:
    made = torch.Generator().manual_seed(0)
    query, key = torch.randn(1, 4, 16, 8, generator=made), torch.randn(1, 2, 16, 8, generator=made)
    found = attention.of_products((query, key, key), {"enable_gqa": True})
    whole = by_hand(query, key.repeat_interleave(2, 1), np.ones((16, 16), bool))
    assert found == pytest.approx(whole, rel=1e-9)


class Attends(nn.Module):
    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.q(x), self.k(x), self.v(x)
        if self.fused:
            return F.scaled_dot_product_attention(q, k, v)
        return F.dropout(torch.softmax(q @ k.mT / math.sqrt(8), -1), 0.1) @ v


def test_written_out_and_fused_attention_are_measured_alike() -> None:
    torch.manual_seed(0)
    fused, plain = Attends(True), Attends(False)
    plain.load_state_dict(fused.state_dict())
    with torch.no_grad():
        for model in (fused, plain):
            model.k.weight.mul_(3)
    x = torch.randn(2, 12, 8)
    one, two = (wb.diagnose(model, x).facts.attentions for model in (fused, plain))
    assert [a.layer for a in one] == [a.layer for a in two] == ["k.weight"]
    assert (one[0].scores, one[0].entropy) == pytest.approx((two[0].scores, two[0].entropy), rel=1e-5)
