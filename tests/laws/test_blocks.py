"""Orthogonal matrices that share a tensor (gates, heads, groups, experts), and convolutions that are isometries."""

from __future__ import annotations

import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import torch

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.sampler import Stream, orthogonal

STREAM = Stream.of(3, "w")


def gram(matrix):
    matrix = matrix.astype(np.float64)
    return matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix


def filled(law, size, dtype=np.float32, **where):
    out = np.empty(size, dtype)
    wb.fill(out, law, seed=3, name="w", **where)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("law", "shape", "matrices", "rows"),
    [
        (wb.Orthogonal(blocks=4), (256, 64), 4, 64),  # gates of an LSTM
        (wb.Orthogonal(1.5, blocks=8), (64, 48), 8, 8),  # heads of attention
        (wb.Orthogonal(blocks=2), (8, 3, 3, 3), 2, 4),  # groups of a convolution
        (wb.Orthogonal(0.5, batch=1), (5, 20, 30), 5, 20),  # experts
        (wb.Orthogonal(batch=2), (2, 3, 7, 5), 6, 7),
        (wb.Orthogonal(blocks=3, batch=1), (4, 12, 3, 2), 12, 4),  # experts of gates
        (wb.Orthogonal(batch=1), (1, 6, 6), 1, 6),
    ],
    ids=repr,
)
def test_every_matrix_is_orthogonal_by_itself_and_has_its_own_elements(law, shape, matrices, rows, dtype):
    values = law.block(STREAM, shape, dtype)
    assert values.shape == shape
    assert values.dtype == dtype
    each = values.reshape(matrices, rows, -1)
    size = each[0].size
    for b, matrix in enumerate(each):
        expected = law.gain**2 * np.eye(min(matrix.shape))
        np.testing.assert_allclose(gram(matrix), expected, rtol=0, atol=1e-6 if dtype == np.float32 else 1e-13)
        # matrix b starts at element b·rows·columns of the stream
        own = orthogonal(STREAM, *matrix.shape, dtype, start=b * size) * dtype(law.gain)
        np.testing.assert_array_equal(matrix, own)
    assert len({matrix.tobytes() for matrix in each}) == matrices
    mean, std = law.moments(shape)
    assert mean == 0
    assert std == pytest.approx(np.sqrt((values.astype(np.float64) ** 2).mean()), rel=1e-6)


def test_one_block_is_the_plain_law():
    plain = wb.Orthogonal(1.5)
    for law, shape in ((wb.Orthogonal(1.5, blocks=1, batch=0), (20, 30)), (wb.Orthogonal(1.5, batch=1), (1, 20, 30))):
        np.testing.assert_array_equal(law.block(STREAM, shape).reshape(20, 30), plain.block(STREAM, (20, 30)))
    assert repr(wb.Orthogonal(1.5, blocks=4)) == "Orthogonal(gain=1.5, blocks=4)"


def test_a_part_of_the_experts_is_that_part_of_the_whole():
    law, shape = wb.Orthogonal(blocks=2, batch=1), (6, 8, 5)
    whole = filled(law, shape)
    np.testing.assert_array_equal(filled(law, (2, 3, 5), shape=shape, offset=(3, 5, 0)), whole[3:5, 5:8])
    np.testing.assert_array_equal(filled(law, 17, shape=shape, offset=41), whole.reshape(-1)[41:58])


def test_a_whole_row_major_tensor_is_filled_in_place():
    """Without a second tensor beside it."""
    law, shape = wb.Orthogonal(1.5), (1200, 1000)
    filled(law, (8, 8))  # what is loaded once does not count
    out = np.full(shape, np.nan, np.float32)
    tracemalloc.start()
    try:
        wb.fill(out, law, seed=3, name="w")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(out, law.block(STREAM, shape))
    np.testing.assert_array_equal(filled(law, shape[::-1]), law.block(STREAM, shape[::-1]))
    assert peak < out.nbytes


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("law", [wb.Orthogonal(1.5, blocks=3), wb.DeltaOrthogonal(0.5)], ids=repr)
def test_narrow_storage_is_the_rounded_float32_result(law, dtype):
    single = filled(law, (24, 8, 3))
    np.testing.assert_array_equal(filled(law, (24, 8, 3), dtype), single.astype(dtype))


@pytest.mark.parametrize(
    ("law", "shape", "shown"),
    [
        (wb.Orthogonal(blocks=3), (8, 4), r"8 rows of shape \(8, 4\) into 3 equal blocks; choose .* divides 8"),
        (wb.Orthogonal(blocks=2, batch=1), (4, 5, 6), "5 rows"),
        (wb.Orthogonal(batch=1), (4, 5), r"at least 3 dimensions \(1 of them count matrices\), got shape \(4, 5\)"),
        (wb.Orthogonal(), (4,), "at least two dimensions"),
        (wb.DeltaOrthogonal(), (4, 4), r"3 to 5 dimensions .*\(4, 4\)"),
        (wb.DeltaOrthogonal(), (4, 4, 1, 1, 1, 1), "3 to 5 dimensions"),
        (wb.DeltaOrthogonal(), (4, 5, 3), "4 outputs for 5 inputs .*use Orthogonal"),
    ],
    ids=repr,
)
def test_shapes_that_do_not_fit_are_refused(law, shape, shown):
    with pytest.raises(ArgumentError, match=shown):
        wb.fill(np.empty(shape, np.float32), law, seed=3, name="w")


@pytest.mark.parametrize("bad", [True, False, 1.0, "2", None, -1])
def test_blocks_and_batch_are_whole_numbers(bad):
    with pytest.raises(ArgumentError, match="blocks must be a whole number of at least 1"):
        wb.Orthogonal(blocks=bad)
    with pytest.raises(ArgumentError, match="batch must be a whole number of at least 0"):
        wb.Orthogonal(batch=bad)
    with pytest.raises(ArgumentError, match="groups must be a whole number of at least 1"):
        wb.Dirac(groups=bad)


KERNELS = [(8, 4, 3), (8, 8, 5, 3), (6, 2, 3, 3, 3), (5, 5, 4, 4), (4, 3, 2), (7, 7, 1, 1)]


@pytest.mark.parametrize("shape", KERNELS, ids=str)
@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_delta_orthogonal_convolutions_are_isometries(shape, gain):
    """All singular values of the circular convolution are the gain: those of its transfer matrix at each frequency."""
    kernel = filled(wb.DeltaOrthogonal(gain), shape, np.float64)
    axes = tuple(range(2, len(shape)))
    transfer = np.fft.fftn(kernel, s=[8] * len(axes), axes=axes)
    matrices = np.moveaxis(transfer, (0, 1), (-2, -1))
    np.testing.assert_allclose(np.linalg.svd(matrices, compute_uv=False), gain, rtol=1e-12)
    mean, std = wb.DeltaOrthogonal(gain).moments(shape)
    assert mean == 0
    assert std == pytest.approx(np.sqrt((kernel**2).mean()), rel=1e-12)


def test_a_delta_orthogonal_layer_keeps_lengths_in_torch():
    layer = torch.nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular", bias=False)
    wb.fill(layer.weight, wb.DeltaOrthogonal(), seed=1, name="w")
    zero = torch.nn.Conv2d(3, 6, 3, padding=1, bias=False)
    zero.load_state_dict(layer.state_dict())
    image = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    lengths = image.flatten(1).norm(dim=1)
    torch.testing.assert_close(layer(image).flatten(1).norm(dim=1), lengths)
    torch.testing.assert_close(zero(image).flatten(1).norm(dim=1), lengths)  # as the card says of odd kernels
    # and an orthogonal kernel matrix is no isometry: the reason for this law
    wb.fill(layer.weight, wb.Orthogonal(), seed=1, name="w")
    assert (layer(image).flatten(1).norm(dim=1) / lengths - 1).abs().max() > 0.05


@pytest.mark.parametrize("shape", KERNELS, ids=str)
def test_only_the_centre_tap_holds_the_matrix(shape):
    kernel = filled(wb.DeltaOrthogonal(1.5), shape)
    centre = tuple(size // 2 for size in shape[2:])
    np.testing.assert_array_equal(kernel[:, :, *centre], orthogonal(STREAM, *shape[:2]) * np.float32(1.5))
    kernel[:, :, *centre] = 0
    assert not kernel.any()
    assert wb.DeltaOrthogonal().block(STREAM, (4, 2, 0)).shape == (4, 2, 0)
