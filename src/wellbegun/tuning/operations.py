"""How calibration reads PyTorch's operations: which argument is a bias, which results are a parameter's copy."""

from __future__ import annotations

from typing import Any

import torch

from wellbegun.errors import ArgumentError

BIASES = {"addmm": 0, "baddbmm": 0, "addmv": 0, "convolution": 2, "linear": 2}
"""Position of what a product adds to its result."""

TABLES = frozenset(("embedding", "_embedding_bag", "_embedding_bag_forward_only"))
"""Operations that look rows up."""

PRODUCTS = frozenset(BIASES) | TABLES | frozenset(("mm", "bmm", "mv", "_grouped_mm"))
"""Operations whose result, without the bias, is proportional to the weight. Others are tried."""

SUMS = frozenset(("add", "add_"))

COPIES = frozenset(("_to_copy", "clone", "contiguous", "copy", "repeat", "neg", "constant_pad_nd"))
"""Results are proportional to a parameter that is the only floating-point argument."""

LOOKUPS = frozenset(("index", "index_select", "gather"))
"""The same, where the parameter is no look-up table: the experts that a router chose."""

FACTORS = frozenset(("mul", "div"))
"""The same, where the other factor is a number or a constant buffer, such as the mask of pruning."""

# positions of (running mean, running variance, training)
_BATCH_NORMS = {
    "native_batch_norm": (3, 4, 5),
    "cudnn_batch_norm": (3, 4, 5),
    "miopen_batch_norm": (3, 4, 5),
    "_native_batch_norm_legit": (3, 4, 5),
}


def run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation; batch normalisation takes the statistics of the batch, and keeps none, as nothing may change.

    In the first step of training it does so too, while a model in evaluation mode would divide by statistics that
    nobody has measured yet.
    """
    name = func.overloadpacket.__name__
    if name == "_native_batch_norm_legit_no_training":
        value, scale, shift, _, _, momentum, epsilon = args
        _check_batch(value)
        return torch.ops.aten._native_batch_norm_legit.no_stats(value, scale, shift, True, momentum, epsilon)
    if name in _BATCH_NORMS and func._overloadname == "default":
        mean, variance, training = _BATCH_NORMS[name]
        _check_batch(args[0])
        changed = list(args)
        changed[training] = True
        if name == "_native_batch_norm_legit":
            del changed[mean : variance + 1]
            return torch.ops.aten._native_batch_norm_legit.no_stats(*changed, **kwargs)
        changed[mean] = changed[variance] = None
        return func(*changed, **kwargs)
    return func(*args, **kwargs)


def product_alone(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a product without what it adds, into memory of its own."""
    name = func.overloadpacket.__name__
    kwargs = {key: value for key, value in kwargs.items() if key != "out"}
    plain = getattr(torch.ops.aten, name.rstrip("_")) if func._schema.is_mutable else func
    if name.rstrip("_") in ("addmm", "baddbmm", "addmv"):
        return plain(*args, **(kwargs | {"beta": 0}))
    position = BIASES.get(name)
    if position is not None and len(args) > position:
        args = (*args[:position], None, *args[position + 1 :])
    return plain(*args, **kwargs)


def broadcast(bias: torch.Tensor, name: str, result: torch.Tensor) -> torch.Tensor:
    """See a bias in the shape in which it is added to a result."""
    if name == "convolution":
        return bias.reshape(1, -1, *(1,) * (result.ndim - 2))
    return bias


def is_proportional(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], position: int, result: Any) -> bool:
    """Whether a result is proportional to one argument: doubling is exact in floating point, so it must double."""
    if func._schema.is_mutable or not isinstance(result, torch.Tensor) or not bool(result.any()):
        return False
    doubled = func(*args[:position], args[position] * 2, *args[position + 1 :], **kwargs)
    return torch.equal(doubled, result * 2)


def second_moment(value: torch.Tensor) -> float:
    """Mean of the squares, summed in float64."""
    wide = torch.complex128 if value.is_complex() else torch.float64
    return float(torch.linalg.vector_norm(value.detach(), dtype=wide)) ** 2 / max(value.numel(), 1)


def mean(value: torch.Tensor) -> complex:
    """Mean of the values, summed in float64."""
    return complex(value.detach().mean(dtype=torch.complex128 if value.is_complex() else torch.float64))


def variance(value: torch.Tensor) -> float:
    """Second moment about the mean of all values."""
    return max(second_moment(value) - abs(mean(value)) ** 2, 0.0)


def _check_batch(value: torch.Tensor) -> None:
    if value.numel() == value.shape[1]:
        raise ArgumentError(
            f"batch normalisation gets one value for each channel (shape {list(value.shape)}), which has no "
            "statistics; calibrate on a larger batch"
        )
