"""Which networks there are, which tasks each suits, and the one door to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.lab.network import ACTIVATIONS, PlainMLP
from wellbegun.lab.networks.cnn import PlainCNN
from wellbegun.lab.networks.recurrent import LSTM
from wellbegun.lab.networks.residual import Residual
from wellbegun.lab.networks.siren import Siren
from wellbegun.lab.networks.transformer import CharacterGPT, VisionTransformer
from wellbegun.lab.task import Task

Suit = tuple[str, str]
"""Kind of a task, and what one of its inputs is: "vector", "image" or "tokens"."""

VECTORS: tuple[Suit, ...] = (("classes", "vector"),)
IMAGES: tuple[Suit, ...] = (("classes", "image"),)
FIELDS: tuple[Suit, ...] = (("field", "vector"),)
MASKS: tuple[Suit, ...] = (("mask", "image"),)
TOKENS: tuple[Suit, ...] = (("tokens", "tokens"),)
_ANY = VECTORS + IMAGES + MASKS + FIELDS


@dataclass(frozen=True)
class NetworkEntry:
    """A network that can be had by its name.

    Attributes:
        name: on the command line.
        summary: what it is, in a few words.
        suits: the tasks that it fits.
        build: (task, depth=, width=, activation=, ...) to the module; what comes after are its own options.
        ensembles: whether copies train side by side as one program. Fused attention and LSTMs have no rule for that in
            torch: it loops over the copies and warns.
    """

    name: str
    summary: str
    suits: tuple[Suit, ...]
    build: Callable[..., torch.nn.Module]
    ensembles: bool = True

    @property
    def options(self) -> tuple[str, ...]:
        """Arguments besides the task, depth, width and activation."""
        common = ("task", "depth", "width", "activation", "norm")
        return tuple(name for name in inspect.signature(self.build).parameters if name not in common)


def build_network(name: str, task: Task, *, depth: int, width: int, activation: str, **more: Any) -> torch.nn.Module:
    """Return a network for a task, with the weights that its constructor gives it.

    >>> from wellbegun.lab.tasks import load_task
    >>> model = build_network("mlp", load_task("digits"), depth=2, width=16, activation="tanh")
    >>> sum(parameter.numel() for parameter in model.parameters())
    1482

    Args:
        name: of a network in `NETWORKS`.
        task: decides what goes in and what comes out.
        depth: hidden layers or blocks, as the network counts them.
        width: units, channels or features of each.
        activation: of the lab's activations ("tanh", "relu", "gelu", ...).
        more: the network's own options; see its factory.

    Raises:
        UnknownNameError: no such network or activation; the closest names are offered.
        ArgumentError: the network does not suit the task, says which do; or a size or option is not allowed.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    if activation not in ACTIVATIONS:
        raise UnknownNameError("activation of the lab's networks", activation, ACTIVATIONS)
    if depth < 1 or width < 1:
        raise ArgumentError(f"depth and width must be at least 1, got depth={depth}, width={width}")
    entry = NETWORKS[name]
    suit = suit_of(task)
    if suit not in entry.suits:
        raise ArgumentError(
            f"the network {name!r} is for {_told(entry.suits)}, and the task {task.name!r} is {_told((suit,))}; "
            f"networks that suit it: {', '.join(networks_for(task))}"
        )
    unknown = [option for option in more if option not in entry.options]
    if unknown:
        allowed = f"its options are {', '.join(entry.options)}" if entry.options else "it has no options"
        raise ArgumentError(f"the network {name!r} does not know {', '.join(unknown)}; {allowed}")
    return entry.build(task, depth=depth, width=width, activation=activation, **more)


def networks_for(task: Task) -> tuple[str, ...]:
    """Return the names of the networks that suit a task."""
    return tuple(name for name, entry in NETWORKS.items() if suit_of(task) in entry.suits)


def suit_of(task: Task) -> Suit:
    """Return what a task is to a network."""
    return task.kind, task.spec.partition(":")[0]


def _told(suits: tuple[Suit, ...]) -> str:
    words = {"classes": "classes of {}s", "mask": "masks of {}s", "field": "a field over {}s", "tokens": "next {}"}
    return " or ".join(words[kind].format(what) for kind, what in suits)


def _mlp(task: Task, *, depth: int, width: int, activation: str) -> torch.nn.Module:
    return PlainMLP(task.inputs, task.outputs, depth=depth, width=width, activation=activation)


NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry
    for entry in (
        NetworkEntry("mlp", "linear layers, no norms, no shortcuts", VECTORS + IMAGES + FIELDS, _mlp),
        NetworkEntry("cnn", "convolutions of 3×3, no norms, no shortcuts", IMAGES + MASKS, PlainCNN),
        NetworkEntry("residual", "blocks with shortcuts and no norms", _ANY, partial(Residual, norm=False)),
        NetworkEntry("residual-norm", "blocks with shortcuts, a norm in each", _ANY, partial(Residual, norm=True)),
        NetworkEntry("vit", "a transformer over patches", IMAGES, VisionTransformer, False),
        NetworkEntry("gpt", "a transformer that looks back only", TOKENS, CharacterGPT, False),
        NetworkEntry("lstm", "recurrent over characters or an image's rows", TOKENS + IMAGES, LSTM, False),
        NetworkEntry("siren", "sines of linear layers", FIELDS, Siren),
    )
}
