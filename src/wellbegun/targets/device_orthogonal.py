"""Orthogonal matrices on a GPU: the construction of sampler.householder in the framework's own matrix products."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from wellbegun.laws import Orthogonal
from wellbegun.sampler import Draw, Stream
from wellbegun.sampler.householder import PANEL

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    Drawn = Callable[[torch.Tensor, Draw, Stream, int], None]


def fill_orthogonal(tensor: torch.Tensor, law: Orthogonal, stream: Stream, draw: Drawn) -> None:
    """Fill a whole tensor on a device with an orthogonal law, in float32 arithmetic.

    Equal to the CPU's result to 1e-5, as two machines' are. Memory: one of the law's matrices, and its panels.

    Args:
        tensor: float32 or narrower, of a shape that the law accepts.
        law: with its blocks and batch.
        stream: where the draws come from.
        draw: writes a draw's elements from an index on into a contiguous float32 tensor.
    """
    import torch

    shape = tuple(tensor.shape)
    rows, columns = shape[law.batch] // law.blocks, math.prod(shape[law.batch + 1 :])
    matrices = torch.empty(shape, dtype=torch.float32, device=tensor.device).view(-1, rows, columns)
    space = torch.empty(max(rows, columns), min(rows, columns), dtype=torch.float32, device=tensor.device)
    with _full_precision():
        for number, matrix in enumerate(matrices):
            draw(space.view(-1), Draw.householder(), stream, number * rows * columns)
            for first in reversed(range(0, space.shape[1], PANEL)):
                _reflect(space[first:, first:], min(PANEL, space.shape[1] - first))
            torch.mul(space if rows >= columns else space.t(), float(np.float32(law.gain)), out=matrix)
    tensor.copy_(matrices.view(shape))


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products of all float32 digits, whatever the caller has allowed: ten bits would not be orthogonal to 1e-5."""
    import torch

    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _reflect(block: torch.Tensor, width: int) -> None:
    """Apply the reflections of the first `width` columns of a block, as sampler.householder does on the CPU."""
    import torch

    panel = block[:, :width].clone()
    panel[:width] = panel[:width].tril()
    heads, squares = panel.diagonal().double(), panel.double().square().sum(0)
    signs = torch.where(heads < 0, -1.0, 1.0).double()
    # a vector of zeros has no direction: the reflection of the first axis stands for it
    panel.diagonal().copy_(heads + signs * torch.where(squares == 0, 1.0, squares.sqrt()))
    squares += panel.diagonal().double().square() - heads.square()
    upper = (panel.t() @ panel).double().triu(1)
    upper.diagonal().copy_(squares / 2)
    unit = torch.eye(width, dtype=torch.float64, device=block.device)
    inverse = torch.linalg.solve_triangular(upper, unit, upper=True).float()
    ends = -signs.float()
    top, others, own = panel[:width], block[:, width:], block[:, :width]
    if others.numel():  # then the block has more rows than the panel has columns
        shared = inverse @ (panel[width:].t() @ others[width:])
        others[:width] = -(top @ shared)
        others[width:].addmm_(panel[width:], shared, alpha=-1)
    own.copy_(-(panel @ (inverse @ (top.t() * ends))))
    own.diagonal().add_(ends)
