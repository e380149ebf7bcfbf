"""Scales that follow from the fans: xavier_*, kaiming_*."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from wellbegun.laws import Normal
from wellbegun.nn_init.draw import write
from wellbegun.nn_init.elementwise import uniform_law
from wellbegun.nn_init.fans import calculate_correct_fan, calculate_fan_in_and_fan_out
from wellbegun.nn_init.gain import calculate_gain

_EMPTY = "Initializing zero-element tensors is a no-op"


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill the weight with U(-a, a), a = gain·sqrt(6/(fan_in + fan_out)).

    >>> w = xavier_uniform_(torch.empty(3, 5), gain=calculate_gain("relu"))
    >>> bool(w.abs().max() <= math.sqrt(2) * math.sqrt(6 / 8))
    True

    Args:
        tensor: (outputs, inputs, kernel...), written in place and returned.
        gain: factor on the standard deviation, at least 0.
        generator: gives the one integer that keys the numbers; torch's default CPU generator if left out.

    Unlike torch: an empty tensor is left alone, where torch may divide by zero; the two parts of a complex weight share
    the variance, where torch doubles it.
    Raises:
        ArgumentError: fewer than two dimensions, a negative gain.
    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks",
        equation 16.
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return write(tensor, generator, uniform_law, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill the weight with N(0, std²), std = gain·sqrt(2/(fan_in + fan_out)).

    >>> xavier_normal_(torch.empty(3, 5)).shape
    torch.Size([3, 5])

    Args:
        tensor: (outputs, inputs, kernel...), written in place and returned.
        gain: factor on the standard deviation, at least 0.
        generator: gives the one integer that keys the numbers; torch's default CPU generator if left out.

    Unlike torch: an empty tensor is left alone, where torch may divide by zero.
    Raises:
        ArgumentError: fewer than two dimensions, a negative gain.
    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks",
        equation 12.
    """
    return write(tensor, generator, Normal, _xavier_std(tensor, gain))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill the weight with U(-bound, bound), bound = gain·sqrt(3/fan).

    >>> w = kaiming_uniform_(torch.empty(3, 5), nonlinearity="relu")
    >>> bool(w.abs().max() <= math.sqrt(2) * math.sqrt(3 / 5))
    True

    Args:
        tensor: (outputs, inputs, kernel...), written in place and returned.
        a: negative slope of leaky_relu; not used with other names.
        mode: "fan_in" keeps the scale of the signal, "fan_out" that of the gradient.
        nonlinearity: any name that `calculate_gain` knows.
        generator: gives the one integer that keys the numbers; torch's default CPU generator if left out.

    Unlike torch: takes every activation, not only the twelve names of torch; the two parts of a complex weight share
    the variance. torch's own layers call it with a=sqrt(5), which is not He's rule: it keeps a third of the variance.
    Warns:
        UserWarning: the tensor has no element, so nothing was done; as in torch.
    Raises:
        ArgumentError: fewer than two dimensions, an unknown mode or nonlinearity.
    Source: He et al. (2015), "Delving Deep into Rectifiers", equations 10 and 14.
    """
    if has_torch_function_variadic(tensor):
        result: Tensor = handle_torch_function(
            kaiming_uniform_,
            (tensor,),
            tensor=tensor,
            a=a,
            mode=mode,
            nonlinearity=nonlinearity,
            generator=generator,
        )
        return result
    if 0 in tensor.shape:
        warnings.warn(_EMPTY, stacklevel=2)
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return write(tensor, generator, uniform_law, -bound, bound)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill the weight with N(0, std²), std = gain/sqrt(fan).

    >>> kaiming_normal_(torch.empty(3, 5), mode="fan_out", nonlinearity="gelu").shape
    torch.Size([3, 5])

    Args:
        tensor: (outputs, inputs, kernel...), written in place and returned.
        a: negative slope of leaky_relu; not used with other names.
        mode: "fan_in" keeps the scale of the signal, "fan_out" that of the gradient.
        nonlinearity: any name that `calculate_gain` knows.
        generator: gives the one integer that keys the numbers; torch's default CPU generator if left out.

    Unlike torch: takes every activation, not only the twelve names of torch.
    Warns:
        UserWarning: the tensor has no element, so nothing was done; as in torch.
    Raises:
        ArgumentError: fewer than two dimensions, an unknown mode or nonlinearity.
    Source: He et al. (2015), "Delving Deep into Rectifiers", equations 10 and 14.
    """
    if 0 in tensor.shape:
        warnings.warn(_EMPTY, stacklevel=2)
        return tensor
    return write(tensor, generator, Normal, _kaiming_std(tensor, a, mode, nonlinearity))


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    return gain * math.sqrt(2.0 / max(fan_in + fan_out, 1))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan = calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a if nonlinearity == "leaky_relu" else None) / math.sqrt(fan)
