"""What a recorder cannot see: numbers that leave PyTorch by another door."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from wellbegun.authors.origin import Origin
from wellbegun.authors.recorder import Recorder
from wellbegun.errors import ArgumentError

DOORS = frozenset((torch.Tensor.numpy, torch.Tensor.__array__, torch.Tensor.tolist, torch.Tensor.__dlpack__))
"""Methods that hand out memory, or numbers from it, without an operation that could be recorded."""


class Guard(TorchFunctionMode):
    """Refuses to hand out the memory of tensors that have no numbers while they are recorded."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in DOORS and isinstance(args[0], torch.Tensor) and self.recorder.memory(args[0]) is not None:
            raise ArgumentError(
                f"{Origin.here()} asks for the memory of a recorded tensor ({func.__name__}), which has no numbers "
                "inside of wb.recording; use operations of torch there (item() and comparisons work), or do this after "
                "the block"
            )
        return func(*args, **(kwargs or {}))
