"""Fills that shape the whole matrix: orthogonal_, sparse_."""

from __future__ import annotations

import torch
from torch import Tensor

from wellbegun.errors import ArgumentError
from wellbegun.laws import Law, Orthogonal, Sparse
from wellbegun.nn_init.draw import write


def orthogonal_(tensor: Tensor, gain: float = 1, generator: torch.Generator | None = None) -> Tensor:
    """Fill the weight with gain·Q, Q a random (semi-)orthogonal matrix; dimensions after the first count as one.

    >>> w = orthogonal_(torch.empty(3, 5))
    >>> torch.allclose(w @ w.T, torch.eye(3), atol=1e-5)
    True

    Args:
        tensor: two dimensions or more, any strides, written in place and returned.
        gain: factor on Q.
        generator: gives the one integer that keys the numbers; torch's default CPU generator if left out.

    Unlike torch: bfloat16 and float16 are taken, and hold the rounding of the float32 result; no QR factorisation, so
    it is faster; orthogonal to 1e-5. The bits depend on the BLAS behind NumPy and are equal to 1e-5 between machines.
    Raises:
        ArgumentError: fewer than two dimensions.
    Source: Saxe, McClelland and Ganguli (2014), "Exact solutions to the nonlinear dynamics of learning in deep linear
        neural networks"; drawn after Stewart (1980).
    """
    if tensor.ndimension() < 2:
        raise ArgumentError(f"Only tensors with 2 or more dimensions are supported, got shape {tuple(tensor.shape)}")
    write(tensor, generator, _orthogonal, gain)
    with torch.no_grad():
        return tensor.neg_() if gain < 0 else tensor


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: torch.Generator | None = None) -> Tensor:
    """Fill the matrix with N(0, std²) and set the same number of random places in each column to zero.

    >>> w = sparse_(torch.empty(10, 4), sparsity=0.25)
    >>> (w == 0).sum(dim=0)
    tensor([3, 3, 3, 3])

    Args:
        tensor: two dimensions, written in place and returned.
        sparsity: fraction of each column that becomes zero, from 0 to 1, rounded up to whole elements.
        std: of the other numbers.
        generator: gives the one integer that keys numbers and places; torch's default CPU generator if left out.

    Unlike torch: the places come from the generator too (torch takes them from the global one, whatever is passed).
    Raises:
        ArgumentError: not two dimensions, or a sparsity outside of 0 to 1.
    Source: Martens (2010), "Deep learning via Hessian-free optimization", section 5.
    """
    if tensor.ndimension() != 2:
        raise ArgumentError(f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    if not 0 <= sparsity <= 1:
        raise ArgumentError(f"sparsity is a fraction of a column, from 0 to 1, not {sparsity!r}")
    return write(tensor, generator, Sparse, sparsity, std)


def _orthogonal(gain: float) -> Law | float:
    return Orthogonal(abs(gain)) if gain != 0 else 0.0
