"""Fills with a pattern: constants, identity, Dirac kernels, orthogonal and sparse matrices."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from wellbegun import nn_init

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
MANY = [*DTYPES, torch.complex64, torch.int64, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2]


@pytest.mark.parametrize("dtype", MANY)
def test_constants_in_every_dtype(dtype: torch.dtype) -> None:
    for write, value in ((lambda t: nn_init.constant_(t, 1.0), 1), (nn_init.ones_, 1), (nn_init.zeros_, 0)):
        tensor = torch.empty(6, 4, dtype=dtype)[::2, 1:]
        assert write(tensor) is tensor
        assert torch.equal(tensor, torch.full((3, 3), value, dtype=dtype))


def test_a_constant_keeps_every_digit_of_float64() -> None:
    assert nn_init.constant_(torch.empty(2, dtype=torch.float64), 0.1).tolist() == [0.1, 0.1]
    assert nn_init._no_grad_fill_(torch.empty(2, dtype=torch.float64), 0.1).tolist() == [0.1, 0.1]


@pytest.mark.parametrize("dtype", [*DTYPES, torch.complex64])
@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (5, 3), (1, 4), (0, 4), (4, 0)])
def test_eye(shape: tuple[int, int], dtype: torch.dtype) -> None:
    for tensor in (torch.full(shape, 7, dtype=dtype), torch.full(shape[::-1], 7, dtype=dtype).t()):
        assert nn_init.eye_(tensor) is tensor
        assert torch.equal(tensor, torch.eye(*shape, dtype=dtype))


@given(
    groups=st.integers(1, 4), outputs=st.integers(0, 4), inputs=st.integers(0, 6), kernel=st.lists(st.integers(1, 4))
)
def test_dirac_is_torchs(groups: int, outputs: int, inputs: int, kernel: list[int]) -> None:
    shape = (groups * outputs, inputs, *(kernel or [3])[:3])
    ours, theirs = torch.full(shape, 7.0), torch.full(shape, 7.0)
    assert nn_init.dirac_(ours, groups) is ours
    assert torch.equal(ours, torch.nn.init.dirac_(theirs, groups))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_dirac_hands_its_input_on(groups: int, size: int) -> None:
    layer = torch.nn.Conv2d(4, 4, size, padding="same", groups=groups, bias=False)
    nn_init.dirac_(layer.weight, groups)
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(layer(x), x, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(8, 8), (3, 50), (50, 3), (1, 9), (6, 2, 3), (2, 3, 4, 5), (200, 130)])
@pytest.mark.parametrize("gain", [1, 0.25, -2.0])
def test_orthogonal(shape: tuple[int, ...], gain: float, dtype: torch.dtype) -> None:
    torch.manual_seed(6)
    tensor = torch.full(shape, torch.nan, dtype=dtype)
    assert nn_init.orthogonal_(tensor, gain) is tensor
    matrix = tensor.double().flatten(1)
    gram = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    # a rounded element is off by half a step, and so is the sum of products of a row, relative to its length
    tolerance = 1e-5 + 2 * {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}.get(dtype, 0.0)
    assert torch.allclose(gram / gain**2, torch.eye(len(gram), dtype=torch.float64), atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_orthogonal_in_narrow_types_is_the_rounding_of_float32(dtype: torch.dtype) -> None:
    """torch has no QR factorisation for them at all."""
    for gain in (1.0, -0.5):
        wide, narrow = (
            nn_init.orthogonal_(torch.empty(20, 30, dtype=kind), gain, torch.Generator().manual_seed(2))
            for kind in (torch.float32, dtype)
        )
        assert torch.equal(narrow, wide.to(dtype))


def test_a_negative_gain_turns_the_matrix_around() -> None:
    one, other = (
        nn_init.orthogonal_(torch.empty(4, 6), gain, torch.Generator().manual_seed(2)) for gain in (0.5, -0.5)
    )
    assert torch.equal(one, -other)


def test_orthogonal_is_haar() -> None:
    """The trace of a Haar matrix has mean 0, variance 1 and (for 8 rows) the fourth moment 3 of a normal."""
    torch.manual_seed(7)
    traces = torch.stack([nn_init.orthogonal_(torch.empty(8, 8)).trace() for _ in range(3000)]).double()
    for power, expected, spread in ((1, 0, 1), (2, 1, math.sqrt(2)), (4, 3, math.sqrt(96))):
        assert abs(float((traces**power).mean()) - expected) < 4 * spread / math.sqrt(3000)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sparsity", [0, 0.05, 0.1, 0.5, 1 / 3, 0.9, 1])
def test_sparse_zeros_in_each_column(sparsity: float, dtype: torch.dtype) -> None:
    torch.manual_seed(5)
    tensor = torch.full((40, 25), torch.nan, dtype=dtype)
    assert nn_init.sparse_(tensor, sparsity, std=1.0) is tensor
    assert ((tensor == 0).sum(dim=0) == math.ceil(sparsity * 40)).all()


def test_sparse_keeps_the_law_of_the_others() -> None:
    torch.manual_seed(5)
    tensor = nn_init.sparse_(torch.empty(300, 200), 0.25)
    others = tensor[tensor != 0].double().numpy()
    assert others.size == 225 * 200
    assert stats.kstest(others, stats.norm(0, 0.01).cdf).pvalue > 1e-4


def test_sparse_chooses_every_pattern_equally_often() -> None:
    """The six ways to put two zeros among four rows, over 24,000 columns: chi-square with five degrees of freedom."""
    torch.manual_seed(8)
    zeros = (nn_init.sparse_(torch.empty(4, 24_000), 0.5) == 0).long()
    codes = (zeros * torch.tensor([[1], [2], [4], [8]])).sum(dim=0)
    counts = torch.bincount(codes, minlength=16)
    assert stats.chisquare([int(counts[code]) for code in (3, 5, 6, 9, 10, 12)]).pvalue > 1e-4
    assert int(counts.sum()) == sum(int(counts[code]) for code in (3, 5, 6, 9, 10, 12))
    # neighbours have nothing to do with one another: the same pattern once in six
    repeats = float((codes[1:] == codes[:-1]).double().mean())
    assert abs(repeats - 1 / 6) < 4 * math.sqrt(5 / 36 / 24_000)


def test_sparse_takes_its_zeros_from_the_generator() -> None:
    """torch's own takes them from the global generator, whatever is passed."""
    patterns = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        patterns.append(nn_init.sparse_(torch.empty(20, 10), 0.3, generator=torch.Generator().manual_seed(4)))
    assert torch.equal(*patterns)


def test_sparse_zeros_do_not_depend_on_the_values() -> None:
    torch.manual_seed(9)
    tensor = nn_init.sparse_(torch.empty(100, 1000), 0.5, std=1.0)
    torch.manual_seed(9)
    before = nn_init.normal_(torch.empty(100, 1000))
    kept, dropped = before[tensor != 0], before[tensor == 0]
    assert torch.equal(tensor[tensor != 0], kept)
    assert stats.ks_2samp(kept.numpy(), dropped.numpy()).pvalue > 1e-4


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda: nn_init.eye_(torch.empty(3)), r"Only tensors with 2 dimensions are supported, got shape \(3,\)"),
        (lambda: nn_init.eye_(torch.empty(3, 3, 3)), "Only tensors with 2 dimensions"),
        (lambda: nn_init.dirac_(torch.empty(3, 3)), "Only tensors with 3, 4, or 5 dimensions are supported"),
        (lambda: nn_init.dirac_(torch.empty(1, 1, 1, 1, 1, 1)), "Only tensors with 3, 4, or 5 dimensions"),
        (lambda: nn_init.dirac_(torch.empty(3, 3, 3), 2), "dim 0 must be divisible by groups"),
        (lambda: nn_init.dirac_(torch.empty(3, 3, 3), 0), "dim 0 must be divisible by groups"),
        (lambda: nn_init.orthogonal_(torch.empty(3)), "Only tensors with 2 or more dimensions are supported"),
        (lambda: nn_init.sparse_(torch.empty(3), 0.5), "Only tensors with 2 dimensions are supported"),
        (lambda: nn_init.sparse_(torch.empty(3, 3), 1.5), "from 0 to 1, not 1.5"),
        (lambda: nn_init.sparse_(torch.empty(3, 3), math.nan), "from 0 to 1, not nan"),
    ],
)
def test_wrong_shapes_are_refused(write, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write()
