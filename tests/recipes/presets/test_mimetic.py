"""mimetic@1: the products of its factors in float64, packed and apart, and what attends to what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError
from wellbegun.laws import law_from_record, law_to_record
from wellbegun.sampler import Draw, Stream, write

from .parametrised import HEADS, Gpt, PostGpt, tokens

WIDTH, SIZE = 64, 64 // HEADS


def z(seed: int, name: str, place: int) -> np.ndarray:
    values = np.empty(WIDTH * WIDTH, np.float32)
    write(values, Draw.normal(0.0, 1.0), Stream.of(seed, name), place * WIDTH * WIDTH)
    return values.astype(np.float64).reshape(WIDTH, WIDTH) / np.sqrt(WIDTH)


def apart(seed: int) -> dict[str, np.ndarray]:
    made = wb.plan(PostGpt(WIDTH, 2), tokens()[0], seed=seed, recipe="mimetic")
    return {part: wb.to_numpy(made, f"blocks.1.{part}.weight").astype(np.float64) for part in "qkvo"}


def packed(seed: int) -> dict[str, np.ndarray]:
    made = wb.plan(Gpt(WIDTH, 2), tokens()[0], seed=seed, recipe="mimetic")
    q, k, v = np.split(wb.to_numpy(made, "blocks.1.qkv.weight").astype(np.float64), 3)
    return {"q": q, "k": k, "v": v, "o": wb.to_numpy(made, "blocks.1.out.weight").astype(np.float64)}


@pytest.mark.parametrize(("weights", "stream"), [(apart, "blocks.1.q.weight"), (packed, "blocks.1.qkv.weight")])
def test_the_products_are_those_of_the_paper(weights, stream) -> None:
    found = weights(5)
    for head in range(HEADS):
        rows = slice(head * SIZE, (head + 1) * SIZE)
        left, values, right = np.linalg.svd(0.7 * z(5, stream, head) + 0.7 * np.eye(WIDTH))
        best = left[:, :SIZE] * values[:SIZE] @ right[:SIZE]
        np.testing.assert_allclose(found["q"][rows].T @ found["k"][rows], best, atol=2e-6)
    # x·W_V·W_O in the paper's order is x·v'·o' with weights stored as [outputs, inputs]
    product = (found["o"] @ found["v"]).T
    np.testing.assert_allclose(product, 0.4 * z(5, stream, HEADS) - 0.4 * np.eye(WIDTH), atol=2e-6)


def test_other_numbers_and_the_size_that_is_planned() -> None:
    recipe = "mimetic(qk=(0.5, -0.9), vo=(0.4, 0.4), base='vit')"
    made = wb.plan(Gpt(WIDTH, 2), tokens()[0], seed=0, recipe=recipe)
    entry = made["blocks.0.qkv.weight"]
    assert entry.law == wb.MimeticFactor("qkv", HEADS, 0.5, -0.9, 0.4, 0.4)
    assert wb.to_numpy(made, entry.name).std() == pytest.approx(entry.std, rel=0.05)
    assert law_from_record(law_to_record(entry.law)) == entry.law
    assert eval(repr(entry.law), {"MimeticFactor": wb.MimeticFactor}) == entry.law
    assert made["blocks.0.up.weight"].law == wb.plan(Gpt(WIDTH, 2), tokens()[0], seed=0, recipe="vit")[
        "blocks.0.up.weight"
    ].law  # fmt: skip
    part = wb.to_numpy(made, entry.name, region=(slice(10, 30), slice(0, 64)))
    np.testing.assert_array_equal(part, wb.to_numpy(made, entry.name)[10:30])


def test_a_token_attends_to_what_is_like_it() -> None:
    """The one thing it is for: a token's own share is above the even one in every head from the start."""
    found, auto = apart(0), wb.plan(PostGpt(WIDTH, 2), tokens()[0], seed=0)
    x = np.random.default_rng(0).standard_normal((50, WIDTH))

    def own(q: np.ndarray, k: np.ndarray) -> list[float]:
        shares = []
        for head in range(HEADS):
            rows = slice(head * SIZE, (head + 1) * SIZE)
            scores = (x @ q[rows].T) @ (x @ k[rows].T).T / np.sqrt(SIZE)
            weights = np.exp(scores - scores.max(1, keepdims=True))
            shares.append(float(np.median(np.diag(weights / weights.sum(1, keepdims=True)))))
        return shares

    assert min(own(found["q"], found["k"])) > 5 / 50
    plain = (wb.to_numpy(auto, f"blocks.1.{part}.weight").astype(np.float64) for part in "qk")
    assert max(own(*plain)) < 3 / 50


def test_what_is_refused() -> None:
    with pytest.raises(PlanError, match="no attention"):
        wb.plan(nn.Linear(4, 4), seed=0, recipe="mimetic")

    class Grouped(nn.Module):
        """Two heads of queries for each of keys."""

        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v, self.o = nn.Linear(16, 16), nn.Linear(16, 8), nn.Linear(16, 8), nn.Linear(16, 16)

        def forward(self, x):
            q = self.q(x).view(1, -1, 4, 4).transpose(1, 2)
            k, v = (layer(x).view(1, -1, 2, 4).transpose(1, 2).repeat_interleave(2, 1) for layer in (self.k, self.v))
            mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
            return self.o(mixed.reshape(1, -1, 16))

    with pytest.raises(PlanError, match=r"k.weight \[8, 16\] is not 1 square matri.* for 4 heads \(keys\)"):
        wb.plan(Grouped(), torch.zeros(1, 3, 16), seed=0, recipe="mimetic")
    with pytest.raises(ArgumentError, match=r"qk must be \(alpha, beta\)"):
        wb.plan(Gpt(), tokens()[0], seed=0, recipe="mimetic(qk=0.7)")
    with pytest.raises(ArgumentError, match="needs 1 square matrices"):
        wb.MimeticFactor("q", heads=3).check_shape((16, 16))
    with pytest.raises(ArgumentError, match="each once"):
        wb.MimeticFactor("qq")
