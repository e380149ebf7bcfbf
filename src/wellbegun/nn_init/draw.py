"""Where the numbers of a call come from: one integer of torch's generator keys a stream, and wb.fill writes it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch._subclasses import FakeTensor

from wellbegun.authors.active import active_recorder
from wellbegun.errors import ArgumentError
from wellbegun.laws import Constant, Law
from wellbegun.sampler import Stream
from wellbegun.targets import fill_tensor

_R = TypeVar("_R")

STREAM = "torch.nn.init"
"""The name of every stream; the seed, taken anew by each call, is what tells them apart."""

_CPU = torch.device("cpu")
_PLAIN = (Tensor, torch.nn.Parameter)
_NUMBERS = frozenset((int, float))


def take_seed(generator: torch.Generator | None) -> int:
    """Take one integer from 0 to 2**63 - 2 from a generator, or from torch's default CPU generator.

    >>> take_seed(torch.Generator().manual_seed(3)) == take_seed(torch.Generator().manual_seed(3))
    True
    """
    device = _CPU if generator is None else generator.device
    return int(torch.randint(0x7FFF_FFFF_FFFF_FFFF, (), generator=generator, device=device).item())


def untouched(tensor: Tensor) -> bool:
    """Tell whether there is nothing to write: no element, or (meta and fake tensors) no memory.

    Raises:
        ArgumentError: an inference tensor outside of inference mode, which torch does not let anyone write either.
    """
    if tensor.is_meta or tensor.numel() == 0 or (type(tensor) not in _PLAIN and isinstance(tensor, FakeTensor)):
        return True
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        raise ArgumentError(
            "Inplace update to inference tensor outside InferenceMode is not allowed; clone it to get a normal tensor"
        )
    return False


def write(
    tensor: Tensor, generator: torch.Generator | None, law: Callable[..., Law | float], *numbers: float
) -> Tensor:
    """Fill a tensor with a law keyed by the generator's next integer, and return the tensor.

    Args:
        tensor: what to write. Where it is left untouched, the generator is not advanced.
        generator: of any device; None is torch's default CPU generator.
        law: makes the law of the numbers; a number that it makes stands for itself, to all its digits in float64.
        numbers: arguments of `law`.
    """
    return eagerly(_write, tensor, generator, law, *numbers)


def eagerly(function: Callable[..., _R], *arguments: object) -> _R:
    """Call a function, and keep torch.compile, which cannot see into our kernels, from looking inside of it."""
    if torch.compiler.is_dynamo_compiling():
        function = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
    return function(*arguments)


@functools.lru_cache(maxsize=1024)
def _made(law: Callable[..., Law | float], *numbers: float) -> Law | float:
    return law(*numbers)


def _write(
    tensor: Tensor, generator: torch.Generator | None, law: Callable[..., Law | float], *numbers: float
) -> Tensor:
    # a law made of plain numbers is the same one each time; others (tensors) may change between calls
    made = _made(law, *numbers) if _NUMBERS.issuperset(map(type, numbers)) else law(*numbers)
    if untouched(tensor):
        return tensor
    recorder = active_recorder()
    if recorder is not None:  # written down and not drawn: no generator is advanced
        recorder.take(tensor, made if isinstance(made, Law) else Constant(made))
        return tensor
    seed = take_seed(generator)
    if isinstance(made, Law):
        fill_tensor(tensor, made, Stream.of(seed, STREAM))
        return tensor
    with torch.no_grad():
        return tensor.fill_(made)
