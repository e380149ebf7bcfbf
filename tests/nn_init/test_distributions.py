"""Every function draws from its law: Kolmogorov–Smirnov and moments with fixed seeds, in every precision."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import wellbegun as wb
from wellbegun import nn_init
from wellbegun.nn_init.elementwise import _truncated

SHAPE = (60, 40, 3, 3)
FAN_IN, FAN_OUT = 40 * 9, 60 * 9
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
STEP = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
"""Half of the distance between neighbours, relative to the number."""


def uniform(low: float, high: float) -> stats.rv_continuous:
    return stats.uniform(low, high - low)


def truncated(mean: float, std: float, a: float, b: float) -> stats.rv_continuous:
    return stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std)


CALLS = {
    "uniform_ default": (lambda t: nn_init.uniform_(t), uniform(0, 1)),
    "uniform_": (lambda t: nn_init.uniform_(t, -0.3, 0.7), uniform(-0.3, 0.7)),
    "normal_ default": (lambda t: nn_init.normal_(t), stats.norm()),
    "normal_": (lambda t: nn_init.normal_(t, 1.5, 0.25), stats.norm(1.5, 0.25)),
    "trunc_normal_ default": (lambda t: nn_init.trunc_normal_(t), truncated(0, 1, -2, 2)),
    "trunc_normal_ that cuts nothing": (lambda t: nn_init.trunc_normal_(t, std=0.02), stats.norm(0, 0.02)),
    "trunc_normal_ one-sided": (
        lambda t: nn_init.trunc_normal_(t, 0.5, 0.5, 0.25, math.inf),
        truncated(0.5, 0.5, 0.25, math.inf),
    ),
    "trunc_normal_ tail": (lambda t: nn_init.trunc_normal_(t, 0, 1, 3, 5), truncated(0, 1, 3, 5)),
    "trunc_normal_ far tail": (lambda t: nn_init.trunc_normal_(t, 0, 0.1, -1.5, -1.2), truncated(0, 0.1, -1.5, -1.2)),
    "xavier_uniform_": (
        lambda t: nn_init.xavier_uniform_(t, 2.0),
        uniform(-2 * math.sqrt(6 / (FAN_IN + FAN_OUT)), 2 * math.sqrt(6 / (FAN_IN + FAN_OUT))),
    ),
    "xavier_normal_": (lambda t: nn_init.xavier_normal_(t), stats.norm(0, math.sqrt(2 / (FAN_IN + FAN_OUT)))),
    "kaiming_uniform_": (
        lambda t: nn_init.kaiming_uniform_(t, a=math.sqrt(5)),
        uniform(-1 / math.sqrt(FAN_IN), 1 / math.sqrt(FAN_IN)),
    ),
    "kaiming_uniform_ fan_out": (
        lambda t: nn_init.kaiming_uniform_(t, mode="fan_out", nonlinearity="linear"),
        uniform(-math.sqrt(3 / FAN_OUT), math.sqrt(3 / FAN_OUT)),
    ),
    "kaiming_normal_": (
        lambda t: nn_init.kaiming_normal_(t, nonlinearity="relu"),
        stats.norm(0, math.sqrt(2 / FAN_IN)),
    ),
    "kaiming_normal_ gelu": (
        lambda t: nn_init.kaiming_normal_(t, mode="fan_out", nonlinearity="gelu"),
        stats.norm(0, 1.533530 / math.sqrt(FAN_OUT)),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_laws(name: str, dtype: torch.dtype) -> None:
    write, law = CALLS[name]
    torch.manual_seed(2024)
    tensor = torch.full(SHAPE, torch.nan, dtype=dtype)
    assert write(tensor) is tensor
    values = tensor.double().flatten().numpy()
    n = values.size
    # rounding to a narrow type moves a number by at most half a step, and so the distribution function
    step = STEP.get(dtype, 0.0)
    grid = law.ppf(np.linspace(1e-6, 1 - 1e-6, 20001))
    rounding = float(np.max(law.cdf(grid + step * np.abs(grid)) - law.cdf(grid - step * np.abs(grid))))
    assert stats.kstest(values, law.cdf).statistic < stats.kstwo.isf(1e-4, n) + rounding
    mean, variance, kurtosis = (float(v) for v in law.stats("mvk"))
    assert abs(values.mean() - mean) < 4 * math.sqrt(variance / n) + step * abs(mean)
    error_of_variance = variance * math.sqrt((kurtosis + 2) / n)
    moved = (step * np.abs(grid)).max()
    assert abs(values.var() - variance) < 4 * error_of_variance + moved**2


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform_never_holds_its_upper_bound(dtype: torch.dtype) -> None:
    """Rounding to a narrow type would reach it, were it not for the clamp that follows."""
    torch.manual_seed(0)
    for low, high in ((0.0, 1.0), (-0.1, 0.1), (1.0, 1.1)):
        values = nn_init.uniform_(torch.empty(200_000, dtype=dtype), low, high).double()
        assert float(values.min()) >= low
        assert float(values.max()) < high


def test_uniform_is_not_biased_in_bfloat16() -> None:
    """torch cuts digits off: there the mean is 0.4982 and 0.2% are exact zeros."""
    torch.manual_seed(0)
    values = nn_init.uniform_(torch.empty(1_000_000, dtype=torch.bfloat16)).double()
    assert abs(float(values.mean()) - 0.5) < 4 / math.sqrt(12 * 1_000_000)
    assert float((values == 0).double().mean()) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_narrow_types_hold_the_rounding_of_float32(dtype: torch.dtype) -> None:
    writers = (
        lambda t, g: nn_init.normal_(t, 0.5, 2.0, generator=g),
        lambda t, g: nn_init.kaiming_normal_(t, generator=g),
        lambda t, g: nn_init.sparse_(t, 0.3, 1.0, generator=g),
        lambda t, g: nn_init.trunc_normal_(t, 0.0, 1.0, -2.0, 2.0, generator=g),
        lambda t, g: nn_init.uniform_(t, -1.0, 1.0, generator=g),
    )
    for write in writers:
        wide, narrow = (
            write(torch.empty(80, 60, dtype=kind), torch.Generator().manual_seed(3)) for kind in (torch.float32, dtype)
        )
        expected = wide.to(dtype).float()
        clamped = (expected >= 1.0) & (wide < 1.0) if write is writers[-1] else torch.zeros(80, 60, dtype=torch.bool)
        assert torch.equal(narrow.float()[~clamped], expected[~clamped])
        assert (narrow.float()[clamped] < 1.0).all()
        assert (narrow.float()[clamped] > 0.8).all()


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_numbers(dtype: torch.dtype) -> None:
    torch.manual_seed(5)
    for write, real, imaginary in (
        (nn_init.uniform_, uniform(0, 1), uniform(0, 1)),
        (lambda t: nn_init._no_grad_uniform_(t, -2.0, 1.0), uniform(-2, 1), uniform(-2, 1)),
        (lambda t: nn_init.normal_(t, 1.0, 2.0), stats.norm(1, math.sqrt(2)), stats.norm(0, math.sqrt(2))),
        (nn_init.xavier_uniform_, *[uniform(-math.sqrt(3 / 200), math.sqrt(3 / 200))] * 2),
        (nn_init.xavier_normal_, *[stats.norm(0, math.sqrt(1 / 200))] * 2),
        (
            lambda t: nn_init.kaiming_uniform_(t, nonlinearity="linear"),
            *[uniform(-math.sqrt(0.015), math.sqrt(0.015))] * 2,
        ),
        (lambda t: nn_init.kaiming_normal_(t, nonlinearity="linear"), *[stats.norm(0, math.sqrt(0.005))] * 2),
    ):
        parameter = torch.nn.Parameter(torch.full((100, 100), torch.nan, dtype=dtype))
        version = parameter._version
        assert write(parameter) is parameter
        assert parameter._version > version
        assert parameter.is_leaf
        parts = torch.view_as_real(parameter.detach()).double().numpy()
        for part, law in ((parts[..., 0], real), (parts[..., 1], imaginary)):
            assert stats.kstest(part.ravel(), law.cdf).pvalue > 1e-4
        assert abs(np.corrcoef(parts[..., 0].ravel(), parts[..., 1].ravel())[0, 1]) < 4 / 100
    with pytest.raises(ValueError, match="complex"):
        nn_init.trunc_normal_(torch.empty(3, 3, dtype=dtype), a=-1.0)
    meta = torch.empty(3, 3, dtype=dtype, device="meta")
    assert nn_init.uniform_(meta) is meta


FINITE = st.floats(-1e3, 1e3)


@given(a=FINITE, width=st.floats(1e-2, 1e3), dtype=st.sampled_from(DTYPES[:2]), seed=st.integers(0, 2**32))
def test_uniform_stays_within_the_real_bounds(a: float, width: float, dtype: torch.dtype, seed: int) -> None:
    b = a + width
    values = nn_init.uniform_(torch.empty(500, dtype=dtype), a, b, torch.Generator().manual_seed(seed)).double()
    assert float(values.min()) >= a
    assert float(values.max()) < b


@given(
    mean=FINITE,
    std=st.floats(1e-2, 1e2),
    first=st.floats(-8, 8),
    second=st.floats(-8, 8),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**32),
)
def test_truncated_stays_within_the_real_bounds(mean, std, first, second, dtype, seed) -> None:
    low, high = sorted((first, second))
    a, b = mean + std * low, mean + std * high
    # the storage type has to have a number in there, and float32 more than one
    narrow = torch.finfo(dtype).eps * max(abs(a), abs(b)) * 2
    if high - low < 1e-3 or b - a < narrow:
        return
    generator = torch.Generator().manual_seed(seed)
    values = nn_init.trunc_normal_(torch.empty(200, dtype=dtype), mean, std, a, b, generator).double()
    assert float(values.min()) >= a
    assert float(values.max()) <= b


@given(mean=FINITE, std=st.floats(1e-3, 1e3), first=st.floats(-30, 30), second=st.floats(-30, 30))
def test_the_bounds_in_sigmas_lie_within_the_real_ones(mean: float, std: float, first: float, second: float) -> None:
    """Rounding to float32 moves them inward, by no more than it has to."""
    low, high = sorted((first, second))
    a, b = mean + std * low, mean + std * high
    if high - low < 1e-3 * max(1.0, abs(mean) / std):
        return
    law = _truncated(mean, std, a, b)
    if low > -8 or high < 8:
        assert isinstance(law, wb.TruncatedNormal)
        for bound, real, inward in zip(law.bounds(), (a, b), (1, -1), strict=True):
            if math.isfinite(bound):
                assert 0 <= (bound - real) * inward <= 1e-6 * (std * max(abs(low), abs(high)) + abs(mean))
            else:
                assert abs(real - mean) > 15 * std


@pytest.mark.parametrize(("a", "b"), [(-20.01, -20.0), (20.0, 20.01)])
def test_a_window_far_out_keeps_both_bounds(a: float, b: float) -> None:
    torch.manual_seed(1)
    values = nn_init.trunc_normal_(torch.empty(1000), 0.0, 1.0, a, b)
    assert float(values.double().min()) >= a
    assert float(values.double().max()) <= b
    assert abs(float(values.double().mean()) - truncated(0, 1, a, b).mean()) < 4 * (b - a) / math.sqrt(12 * 1000)


@pytest.mark.parametrize("dtype", DTYPES)
def test_laws_without_width(dtype: torch.dtype) -> None:
    for write, value in (
        (lambda t: nn_init.uniform_(t, 0.5, 0.5), 0.5),
        (lambda t: nn_init.normal_(t, 0.5, 0.0), 0.5),
        (lambda t: nn_init.trunc_normal_(t, 0.5, 0.0), 0.5),
        (lambda t: nn_init.trunc_normal_(t, 0.0, 1.0, 0.5, 0.5), 0.5),
        (lambda t: nn_init.xavier_uniform_(t, gain=0.0), 0.0),
        (lambda t: nn_init.xavier_normal_(t, gain=0.0), 0.0),
        (lambda t: nn_init.orthogonal_(t, gain=0.0), 0.0),
    ):
        tensor = torch.full((4, 5), torch.nan, dtype=dtype)
        assert write(tensor) is tensor
        assert torch.equal(tensor, torch.full((4, 5), value, dtype=dtype))


def test_a_law_without_width_keeps_every_digit_of_float64() -> None:
    tensor = torch.empty(3, dtype=torch.float64)
    assert nn_init.uniform_(tensor, 0.1, 0.1).tolist() == [0.1] * 3
    assert nn_init.trunc_normal_(tensor, 0.1, 0.0).tolist() == [0.1] * 3
    assert nn_init.trunc_normal_(tensor, 0.0, 1.0, 0.1, 0.1).tolist() == [0.1] * 3


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda t: nn_init.uniform_(t, 1.0, 0.0), "a must not lie above b; got a=1.0, b=0.0"),
        (lambda t: nn_init.uniform_(t, math.nan, 1.0), "a must not lie above b"),
        (lambda t: nn_init.uniform_(t, 0.0, 1e39), "bounds that float32 can hold"),
        (lambda t: nn_init.uniform_(t, 1.0, 1.0 + 1e-12), "no two float32 numbers"),
        (lambda t: nn_init.normal_(t, 0.0, -1.0), "std must not be negative"),
        (lambda t: nn_init.trunc_normal_(t, std=-1.0), "std must not be negative"),
        (lambda t: nn_init.trunc_normal_(t, a=1.0, b=-1.0), "a must not lie above b; got a=1.0, b=-1.0"),
        (lambda t: nn_init.trunc_normal_(t, 3.0, 0.0), "std=0 leaves only the mean 3.0"),
        (lambda t: nn_init.trunc_normal_(t, 0.0, 1.0, 50.0, 51.0), "up to 36 sigma"),
        (lambda t: nn_init.trunc_normal_(t, 0.0, 1.0, 1.0, 1.0 + 1e-12), "too narrow for float32"),
        (lambda t: nn_init.xavier_normal_(t, gain=-1.0), "std must not be negative"),
        (lambda t: nn_init.xavier_uniform_(t, gain=-1.0), "a must not lie above b"),
    ],
)
def test_bad_numbers_are_refused_and_nothing_is_written(write, message: str) -> None:
    tensor = torch.full((3, 4), 7.0)
    with pytest.raises(ValueError, match=message):
        write(tensor)
    assert torch.equal(tensor, torch.full((3, 4), 7.0))
