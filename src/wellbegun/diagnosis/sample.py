"""A small sample of a tensor's values, from all over it and always from the same places."""

from __future__ import annotations

import torch

MOST = 2048
"""Values of one tensor that are taken."""

ROWS = 32
"""Inputs that they come from, where there are as many; more, where each has few numbers."""


def sampled(value: torch.Tensor) -> torch.Tensor:
    """Return at most `MOST` values, as rows of one input each: every n-th along each dimension.

    Of features, n is odd, so that no power of two (the width of a head, say) hides all but one of its places.

    Args:
        value: its first dimension counts inputs; of complex numbers, the absolute values are taken.
    """
    return each_sample(value.detach().unsqueeze(0))[0]


def each_sample(stack: torch.Tensor) -> torch.Tensor:
    """Return the samples of several values of one shape: [values, inputs, the rest], float32, a copy.

    Args:
        stack: [values, *shape], see `sampled`.
    """
    found = stack.reshape(len(stack), 1, -1) if stack.ndim < 3 else stack
    inputs, *sizes = found.shape[1:]
    left, steps = MOST // max(1, min(ROWS, inputs)), [1] * found.ndim
    by_size = sorted(range(len(sizes)), key=sizes.__getitem__)
    for rank, axis in enumerate(by_size):
        step = steps[axis + 2] = _step(sizes[axis], max(1, int(left ** (1 / (len(sizes) - rank)))))
        left //= max(1, -(-sizes[axis] // step))
    steps[1] = max(1, -(-inputs // max(1, left * min(ROWS, inputs))))
    kept = found[tuple(slice(None, None, step) for step in steps)]
    kept = kept.abs() if kept.is_complex() else kept
    if kept.element_size() > 4:  # what float32 cannot hold is finite nevertheless
        top = torch.finfo(torch.float32).max
        kept = torch.where(torch.isfinite(kept), kept.clamp(-top, top), kept)
    # a copy: what follows may write into the tensor, and nobody shall hold all of it
    return (kept.clone() if kept.dtype == torch.float32 else kept.float()).flatten(2)


def _step(size: int, wanted: int) -> int:
    step = -(-size // wanted)
    return step + 1 - step % 2 if step > 1 else 1
