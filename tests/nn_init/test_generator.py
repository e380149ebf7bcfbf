"""One integer of a generator a call: a state gives the same numbers, passed or global, and a call advances it."""

import random

import numpy as np
import pytest
import torch

import wellbegun as wb
from wellbegun import nn_init

RANDOM = {
    "uniform_": (),
    "normal_": (),
    "trunc_normal_": (),
    "xavier_uniform_": (),
    "xavier_normal_": (),
    "kaiming_uniform_": (),
    "kaiming_normal_": (),
    "orthogonal_": (),
    "sparse_": (0.3,),
}
FIXED = {"constant_": (0.5,), "ones_": (), "zeros_": (), "eye_": ()}


def call(name: str, generator: torch.Generator | None = None, shape: tuple[int, ...] = (12, 20)) -> torch.Tensor:
    return getattr(nn_init, name)(torch.full(shape, torch.nan), *RANDOM[name], generator=generator)


@pytest.mark.parametrize("name", RANDOM)
def test_the_same_state_gives_the_same_numbers_passed_or_global(name: str) -> None:
    torch.manual_seed(11)
    first, second = call(name), call(name)
    generator = torch.Generator().manual_seed(11)
    assert torch.equal(call(name, generator), first)
    assert torch.equal(call(name, generator), second)
    assert not torch.equal(first, second)
    assert not torch.equal(call(name, torch.Generator().manual_seed(12)), first)


@pytest.mark.parametrize("name", RANDOM)
def test_a_call_takes_one_integer_whatever_the_size(name: str) -> None:
    by_hand = torch.Generator().manual_seed(5)
    torch.randint(2**63 - 1, (), generator=by_hand)
    for shape in ((1, 1), (30, 40)):
        generator = torch.Generator().manual_seed(5)
        call(name, generator, shape)
        assert torch.equal(generator.get_state(), by_hand.get_state())


@pytest.mark.parametrize("name", RANDOM)
def test_a_passed_generator_leaves_every_global_state_alone(name: str) -> None:
    torch_state, python_state, numpy_state = torch.get_rng_state(), random.getstate(), np.random.get_state()
    call(name, torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), torch_state)
    call(name)
    assert not torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == python_state
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])


@pytest.mark.parametrize("name", FIXED)
def test_fills_without_chance_take_nothing(name: str) -> None:
    state = torch.get_rng_state()
    getattr(nn_init, name)(torch.empty(3, 4), *FIXED[name])
    nn_init.dirac_(torch.empty(4, 2, 3))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_the_integer_keys_a_stream_of_wb_fill(dtype: torch.dtype) -> None:
    """The docs promise it, so that a tensor can be made again without torch's generator."""
    calls = {
        wb.Normal(std=0.5, mean=0.25): lambda t, g: nn_init.normal_(t, 0.25, 0.5, generator=g),
        wb.TruncatedNormal(std=0.5, low=-2, high=1, match_std=False): lambda t, g: nn_init.trunc_normal_(
            t, 0.0, 0.5, -1.0, 0.5, generator=g
        ),
        wb.Normal(std=0.02): lambda t, g: nn_init.trunc_normal_(t, std=0.02, generator=g),
        wb.Orthogonal(gain=2.0): lambda t, g: nn_init.orthogonal_(t, 2.0, generator=g),
    }
    for law, write in calls.items():
        ours, expected = torch.empty(9, 7, dtype=dtype), torch.empty(9, 7, dtype=dtype)
        write(ours, torch.Generator().manual_seed(8))
        seed = int(torch.randint(2**63 - 1, (), generator=torch.Generator().manual_seed(8)))
        wb.fill(expected, law, seed=seed, name="torch.nn.init")
        assert torch.equal(ours, expected), law


@pytest.mark.parametrize("name", RANDOM)
def test_a_default_device_does_not_decide_where_the_integer_comes_from(name: str) -> None:
    torch.manual_seed(4)
    plain = call(name)
    torch.manual_seed(4)
    other = torch.full(plain.shape, torch.nan)
    with torch.device("meta"):
        getattr(nn_init, name)(other, *RANDOM[name])
    assert torch.equal(other, plain)
