"""Forward passes on other values than the model's own; nothing of the model or of the process is changed afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from wellbegun.errors import TraceError, WellbegunError
from wellbegun.graph.parametrised import find_parametrised
from wellbegun.graph.stage import attributes_kept, put_tensors
from wellbegun.tuning.batch import Batch
from wellbegun.tuning.surroundings import plain_kernels, seeded


@contextmanager
def on_values(model: torch.nn.Module, state: Mapping[str, torch.Tensor], seed: int) -> Iterator[None]:
    """Put values into a model in evaluation mode, and give all back as it was.

    Args:
        model: whose parameters and buffers are replaced, not written.
        state: the values by every name in the model.
        seed: of the global random states meanwhile.
    """
    with ExitStack() as surroundings:
        surroundings.enter_context(attributes_kept(model))
        surroundings.enter_context(seeded(seed, state.values()))
        surroundings.enter_context(plain_kernels(model))
        for module in model.modules():  # not model.eval(), which some classes override with more than a flag
            module.training = False
        put_tensors(model, state)
        for weight in list(find_parametrised(model)):
            if weight.kind != "prune":  # whose mask lies on what is planned
                weight.show()
        yield


def forward(model: torch.nn.Module, batch: Batch) -> Any:
    """Run the model on a batch.

    Raises:
        TraceError: the forward pass fails; its own error is given.
    """
    try:
        return model(*batch.arguments, **batch.keywords)
    except WellbegunError:
        raise
    except Exception as error:
        shapes = ", ".join(f"{tuple(leaf.shape)}" for leaf in batch.tensors)
        failure = f"{type(model).__name__} fails on inputs of shape {shapes}: {type(error).__name__}: {error}"
        raise TraceError(failure + batch.hint) from error


@contextmanager
def batch_statistics(model: torch.nn.Module) -> Iterator[None]:
    """Let batch normalisation take the statistics of the batch, as in the first step of training.

    Inside `on_values`, where the running statistics that it updates are copies.
    """
    layers = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False
