"""The network of a trial: one of the lab's, or the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from wellbegun.errors import ArgumentError
from wellbegun.lab.networks import NETWORKS, build_network
from wellbegun.lab.task import Task
from wellbegun.lab.trials.trial import Trial
from wellbegun.user_code import import_factory

MOST_PARAMETERS = 300_000
"""A network with more parameters trains by itself: its products fill a core on their own."""

MOST_NUMBERS = 8_000_000
"""Parameters of all copies of one program: with more, they no longer stay near the processor."""

_SLOWER = (torch.nn.modules.conv._ConvNd, torch.nn.RNNBase, torch.nn.modules.batchnorm._BatchNorm)


def builder(trial: Trial, task: Task, own: Callable[..., Any] | str | None = None) -> Callable[[], torch.nn.Module]:
    """Return what builds the network of a trial.

    Args:
        trial: names it, and its sizes.
        task: what goes in and comes out.
        own: the user's own function or its name "module:function"; it takes the task if it takes an argument. None for
            the lab's networks.

    Raises:
        UnknownNameError: no such network.
        ArgumentError: the network does not suit the task, or the function returns no network.
    """
    if own is not None:
        function = (
            import_factory(
                own, argument="the network", example="my_models:build", otherwise="one of the lab's networks"
            )
            if isinstance(own, str)
            else own
        )
        return lambda: _called(function, trial.network, task)
    sizes: dict[str, Any] = {"depth": trial.depth, "width": 1 if trial.twin else trial.width}
    options = dict(trial.options)
    return lambda: build_network(trial.network, task, activation=trial.activation or "", **sizes, **options)


def copies_together(trial: Trial, model: torch.nn.Module) -> int:
    """Return how many copies of a network train as one vectorised program; 1 means each by itself.

    Side by side is faster for small networks of matrix products (many small products become one batched product), and
    slower for convolutions, whose batched form is a grouped convolution, and for recurrent layers, which `vmap` takes
    apart; normalisation over the batch keeps statistics that copies cannot share. So networks with such layers, with
    more than MOST_PARAMETERS parameters, and the user's own (whose code may draw or branch as it likes) train by
    themselves. `benchmarks/compare.py` measures the gain for a plain MLP.

    Args:
        trial: one of them.
        model: its network.
    """
    entry = NETWORKS.get(trial.network)
    if entry is None or not entry.ensembles or any(isinstance(layer, _SLOWER) for layer in model.modules()):
        return 1
    size = sum(parameter.numel() for parameter in model.parameters())
    return 1 if size > MOST_PARAMETERS else max(1, MOST_NUMBERS // size)


def _called(own: Callable[..., Any], name: str, task: Task) -> torch.nn.Module:
    made = own(task) if inspect.signature(own).parameters else own()
    if not isinstance(made, torch.nn.Module):
        raise ArgumentError(f"{name} must return a torch.nn.Module, got {type(made).__name__}")
    return made
