"""The recorded laws are those of the stock initialisation: every tensor of many models, built for real."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from stock_models import BUILDERS

import wellbegun as wb
from wellbegun.authors import Authorship, record_construction, record_initialisation
from wellbegun.laws import Constant, Dirac, Identity, Patched, Stored
from wellbegun.sampler import storage_type

BUILDS = 6
SHORT = ("vision", "recurrent", "special", "attention", "layers", "gpt2", "mamba2", "wav2vec2")

every_model = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SHORT else pytest.mark.slow) for name in BUILDERS]
)


def numbers(tensor: torch.Tensor) -> np.ndarray:
    plain = tensor.detach()
    return (plain.float() if plain.dtype in (torch.bfloat16, torch.float16) else plain).numpy()


def tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())


def drawn(authorship: Authorship, like: torch.Tensor, seed: int) -> np.ndarray:
    out = np.full(tuple(like.shape), 9, storage_type(str(like.dtype).removeprefix("torch.")))
    assert authorship.law is not None
    return wb.fill(out, authorship.law, seed=seed, name="tensor") or out


def check_like_stock(name: str, authorship: Authorship, stock: list[np.ndarray], ours: list[np.ndarray]) -> None:
    law = authorship.law
    told = f"{name}: {authorship}"
    if isinstance(law, Constant | Dirac | Identity) or (isinstance(law, Stored) and not authorship.replayed):
        for one in stock:
            np.testing.assert_array_equal(one, ours[0], err_msg=told)
        return
    if isinstance(law, Patched):
        for region, part in law.patches:
            place = tuple(slice(*edge) for edge in region)
            if isinstance(part, Constant):
                assert all((one[place] == part.value).all() for one in stock), told
    count = stock[0].size * len(stock)
    found = np.concatenate([one.ravel() for one in stock]).astype(np.float64)
    if not isinstance(law, Stored):
        mean, std = law.moments(stock[0].shape)
        kurtosis = max(float(np.mean((found - mean) ** 4)) / std**4, 3.0)
        assert abs(found.mean() - mean) < 6 * std / math.sqrt(count) + 1e-7 * abs(mean), told
        assert abs(found.var() / std**2 - 1) < 6 * math.sqrt(kurtosis / count), told
        bounds = law.bounds()
        if bounds is not None:
            slack = 1e-5 * max(map(abs, bounds))
            assert bounds[0] - slack <= found.min(), told
            assert found.max() <= bounds[1] + slack, told
    if authorship.replayed:  # one set of numbers, however often it is written
        ours = ours[:1]
    assert ks_2samp(found, np.concatenate([one.ravel() for one in ours])).pvalue > 1e-7, told


@every_model
def test_every_tensor_is_as_the_stock_code_draws_it(name: str) -> None:
    state = torch.get_rng_state()
    model, authored = record_construction(BUILDERS[name])
    assert (torch.get_rng_state() == state).all()
    assert all(parameter.is_meta for parameter in model.parameters())
    with torch.random.fork_rng():
        builds = []
        for seed in range(BUILDS):
            torch.manual_seed(seed)
            builds.append(tensors(BUILDERS[name]()))
    assert builds[0].keys() <= authored.keys()
    for tensor, like in builds[0].items():
        stock = [numbers(build[tensor]) for build in builds]
        law = authored[tensor].law
        assert law is not None, f"{tensor}: {authored[tensor]}"
        check_like_stock(
            tensor, authored[tensor], stock, [drawn(authored[tensor], like, seed) for seed in range(BUILDS)]
        )
        buffer = dict(model.named_buffers()).get(tensor)
        if buffer is not None and not authored[tensor].replayed and isinstance(law, Stored | Constant):
            assert torch.equal(buffer, like), tensor


@every_model
def test_a_model_that_exists_is_initialised_as_it_was_built(name: str) -> None:
    if name in ("special", "vision", "recurrent"):
        pytest.skip("its constructor draws by itself: see test_initialisation")
    _, built = record_construction(BUILDERS[name])
    with torch.random.fork_rng():
        model = BUILDERS[name]()
    before = {tensor: value.detach().clone() for tensor, value in tensors(model).items()}
    again = record_initialisation(model)
    after = tensors(model)
    assert all(torch.equal(value, after[tensor]) for tensor, value in before.items())
    assert set(built) == set(again)
    for tensor in built:
        if again[tensor].law is not None:
            assert again[tensor].law == built[tensor].law, f"{tensor}: {built[tensor]} {again[tensor]}"
    unseen = [tensor for tensor in built if again[tensor].law is None]
    assert all("parametrizations" in tensor or tensor == "logit_scale" for tensor in unseen), unseen
