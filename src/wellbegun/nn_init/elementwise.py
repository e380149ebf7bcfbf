"""Random numbers of a given size, each element for itself: uniform_, normal_, trunc_normal_."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from wellbegun.errors import ArgumentError
from wellbegun.laws import Law, Normal, TruncatedNormal, Uniform
from wellbegun.nn_init.draw import write

UNREACHED = 16.0
"""A bound this many sigmas away cuts nothing: a normal lies beyond it with a chance of 1e-57."""

_LARGEST = float(np.finfo(np.float32).max)
_UP, _DOWN = np.float32(np.inf), np.float32(-np.inf)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill the tensor with numbers from U(a, b), a <= x < b.

    >>> w = uniform_(torch.empty(3, 5), -0.1, 0.1)
    >>> bool((w >= -0.1).all() and (w < 0.1).all())
    True

    Args:
        tensor: any shape, written in place and returned.
        a, b: bounds, of both parts of a complex number; equal bounds give a constant.
        generator: gives the one integer that keys the numbers; torch's default CPU generator if left out.

    Unlike torch: bfloat16 and float16 hold float32 numbers rounded to nearest, and still exclude b (torch cuts digits
    off: U(0, 1) in bfloat16 has mean 0.498 and 0.2% exact zeros). The law's numbers are float32, so the bounds are the
    outermost float32 numbers within [a, b), in float64 as well.

    Raises:
        ArgumentError: a above b, or no two float32 numbers between them (torch: RuntimeError).
    """
    if has_torch_function_variadic(tensor):
        result: Tensor = handle_torch_function(uniform_, (tensor,), tensor=tensor, a=a, b=b, generator=generator)
        return result
    return draw_uniform(tensor, a, b, generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill the tensor with numbers from N(mean, std²).

    >>> w = normal_(torch.empty(3, 5), std=0.02)
    >>> bool(w.isfinite().all() and w.any())
    True

    Args:
        tensor: any shape, written in place and returned.
        mean, std: of the normal law, rounded to float32, in float64 tensors as well. A complex number has this mean and
            E|x - mean|² = std² (torch puts the mean into the imaginary part, too).
        generator: gives the one integer that keys the numbers; torch's default CPU generator if left out.

    Raises:
        ArgumentError: a negative std (torch: RuntimeError).
    """
    if has_torch_function_variadic(tensor):
        result: Tensor = handle_torch_function(
            normal_, (tensor,), tensor=tensor, mean=mean, std=std, generator=generator
        )
        return result
    return draw_normal(tensor, mean, std, generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill the tensor with numbers from N(mean, std²) given that they lie in [a, b].

    >>> w = trunc_normal_(torch.empty(3, 5), std=0.5, a=-1.0, b=0.25)
    >>> bool((w >= -1.0).all() and (w <= 0.25).all())
    True

    Args:
        tensor: any shape, written in place and returned.
        mean, std: of the normal before the cut. The cut makes the standard deviation smaller: to 0.88 std at 2 std.
        a, b: bounds, absolute and not in units of std: with std=0.02 the default ±2 cuts nothing.
        generator: gives the one integer that keys the numbers; torch's default CPU generator if left out.

    Unlike torch: one pass, whatever the bounds, and single elements are redrawn instead of whole tensors. The law is
    exact for a mean far outside of [a, b] too, so there is no warning about it. Numbers stay inside the real a and b
    after rounding to any dtype. std=0 gives the mean, if it lies in [a, b]. The same function in units of sigma is
    `wellbegun.TruncatedNormal`.

    Raises:
        ArgumentError: a above b, a negative std, or bounds that the normal never reaches (beyond 36 sigma).
    """
    return draw_trunc_normal(tensor, mean, std, a, b, generator)


def draw_uniform(tensor: Tensor, a: float, b: float, generator: torch.Generator | None = None) -> Tensor:
    """Fill the tensor as uniform_ does, without asking whether another library wants to do it."""
    if tensor.is_complex():
        with torch.no_grad():
            write(torch.view_as_real(tensor), generator, uniform_law, a, b)
        return tensor
    return write(tensor, generator, uniform_law, a, b)


def draw_normal(tensor: Tensor, mean: float, std: float, generator: torch.Generator | None = None) -> Tensor:
    """Fill the tensor as normal_ does, without asking whether another library wants to do it."""
    return write(tensor, generator, Normal, std, mean)


def draw_trunc_normal(
    tensor: Tensor, mean: float, std: float, a: float, b: float, generator: torch.Generator | None = None
) -> Tensor:
    """Fill the tensor as trunc_normal_ does."""
    return write(tensor, generator, _truncated, mean, std, a, b)


def uniform_law(a: float, b: float) -> Law | float:
    """U(a, b) between the outermost float32 numbers of [a, b): b is excluded, as in torch."""
    if a == b:
        return a
    if not a < b:
        raise ArgumentError(f"uniform_ draws from a to b, so a must not lie above b; got a={a!r}, b={b!r}")
    if max(abs(a), abs(b)) > _LARGEST:
        raise ArgumentError(f"uniform_ takes bounds that float32 can hold, got a={a!r}, b={b!r}")
    first, last = np.float32(a), np.float32(b)
    low = float(first) if float(first) >= a else float(np.nextafter(first, _UP))
    high = float(last) if float(last) < b else float(np.nextafter(last, _DOWN))
    if not low < high:
        raise ArgumentError(f"no two float32 numbers lie from a={a!r} up to b={b!r}; use constant_")
    return Uniform(low, high)


def _truncated(mean: float, std: float, a: float, b: float) -> Law | float:
    """N(mean, std²) in [a, b] with the bounds in units of sigma."""
    if not a <= b:
        raise ArgumentError(f"trunc_normal_ draws from a to b, so a must not lie above b; got a={a!r}, b={b!r}")
    whole = Normal(std, mean)  # checks the numbers, and rounds them
    if std == 0 and not a <= mean <= b:
        raise ArgumentError(f"std=0 leaves only the mean {mean!r}, and it does not lie in [{a!r}, {b!r}]")
    if whole.std == 0 or a == b:
        return float(min(max(mean, a), b))
    low, high = (a - whole.mean) / whole.std, (b - whole.mean) / whole.std
    below, above = low < -UNREACHED and high > 0, high > UNREACHED and low < 0
    if below and above:
        return whole
    low = -math.inf if below else _inside(a, low, whole, up=True)
    high = math.inf if above else _inside(b, high, whole, up=False)
    if not low < high:
        raise ArgumentError(f"from a={a!r} to b={b!r} is too narrow for float32 beside mean={mean!r}; use constant_")
    return TruncatedNormal(whole.std, low, high, whole.mean, match_std=False)


def _inside(bound: float, sigmas: float, whole: Normal, *, up: bool) -> float:
    """Round sigmas to float32 so that the place it stands for does not lie outside the bound."""
    if abs(sigmas) > _LARGEST:
        return sigmas
    number = np.float32(sigmas)
    place = whole.mean + whole.std * float(number)
    if (place < bound) if up else (place > bound):
        # a step is more than the rounding can have been off
        number = np.nextafter(number, _UP if up else _DOWN)
    return float(number)
