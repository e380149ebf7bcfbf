"""What a forward pass that is watched needs of the process, given back afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from wellbegun.graph.framework import random_states_kept


@contextmanager
def seeded(seed: int, tensors: Iterable[torch.Tensor]) -> Iterator[None]:
    """Start all global random states at the same place each time, and give them back as they were.

    Evaluation mode leaves little that is random; a forward that draws all the same gets the same numbers.
    """
    devices = sorted({tensor.device.index for tensor in tensors if tensor.is_cuda})
    with random_states_kept(), torch.random.fork_rng(devices=devices):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.default_generator.manual_seed(seed % 2**63)  # not torch.manual_seed, which seeds every device
        for device in devices:
            torch.cuda.default_generators[device].manual_seed(seed % 2**63)
        yield


@contextmanager
def plain_kernels(model: torch.nn.Module) -> Iterator[None]:
    """Turn off the fused kernels of evaluation mode that hide products: those of attention and of recurrent layers."""
    fast = torch.backends.mha.get_fastpath_enabled()
    recurrent: tuple[Any, ...] = (torch.backends.mkldnn, torch.backends.cudnn)
    # convolutions are seen with these libraries too, and are much slower without
    hidden = recurrent if any(isinstance(module, torch.nn.RNNBase) for module in model.modules()) else ()
    enabled = [library.enabled for library in hidden]
    torch.backends.mha.set_fastpath_enabled(False)
    for library in hidden:
        library.enabled = False
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for library, was in zip(hidden, enabled, strict=True):
            library.enabled = was
