"""The recorder that is at work in this thread, for functions that write memory without an operation of PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellbegun.errors import ArgumentError

if TYPE_CHECKING:
    from wellbegun.authors.recorder import Recorder


def active_recorder() -> Recorder | None:
    """Return the innermost recorder of this thread, None where nothing is recorded."""
    import torch

    if not torch._C._len_torch_dispatch_stack():
        return None
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

    from wellbegun.authors.recorder import Recorder

    modes = _get_current_dispatch_mode_stack()
    return next((mode for mode in reversed(modes) if isinstance(mode, Recorder)), None)


def check_not_recording(purpose: str) -> None:
    """Raise ArgumentError inside of wb.recording and wb.skeleton, where tensors have no numbers.

    Args:
        purpose: what cannot be done there, as the start of a sentence.
    """
    if active_recorder() is not None:
        raise ArgumentError(
            f"{purpose} cannot be recorded: it writes numbers, and inside of wb.recording and wb.skeleton there are "
            "stand-ins only; do it before or after that block"
        )
