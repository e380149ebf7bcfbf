"""What is trained if the user does not say: the network that suits a task, and sizes at which methods differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from wellbegun.errors import ArgumentError
from wellbegun.lab.networks import networks_for
from wellbegun.lab.settings import Settings
from wellbegun.lab.task import Task

DIGITS_TARGET = 0.9
"""Of the digits, every sound method gets this far: a fixed target, so that runs can be compared with one another."""

_SIZES: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "mlp": (20, 64, ("tanh", "relu")),
    "lstm": (1, 32, ("tanh",)),
    "siren": (4, 32, ("sine",)),
}
"""Depth, width and activations by network; for all others _OTHERS."""

_OTHERS = (4, 32, ("relu",))


def usual_settings(
    task: Task,
    network: str | Callable[..., Any] | None,
    own: bool,
    asked: Mapping[str, Any],
    sizes: Mapping[str, Any],
) -> Settings:
    """Return the settings that the user asks for, with the usual ones where he does not say.

    Args:
        task: what is learnt.
        network: as the user gave it, None if not.
        own: whether the network is the user's own function.
        asked: settings that need no default.
        sizes: activations, depth and width, each None if the user does not say.

    Raises:
        ArgumentError: sizes were given for the user's own network, which the lab cannot change.
    """
    settings = Settings(**asked)
    if task.name.startswith("digits") and settings.target is None:
        settings = replace(settings, target=DIGITS_TARGET)
    if own:
        given = [name for name, value in sizes.items() if value is not None] + ["options"] * bool(settings.options)
        if given:
            raise ArgumentError(
                f"{', '.join(given)} cannot be set for a network of your own: let its function decide them"
            )
        name = network if isinstance(network, str) else getattr(network, "__name__", "your own network")
        return replace(settings, network=name, activations=(), depth=None, width=None)
    name = network if isinstance(network, str) else networks_for(task)[0]
    depth, width, activations = _SIZES.get(name, _OTHERS)
    return replace(
        settings,
        network=name,
        activations=tuple(sizes["activations"]) if sizes["activations"] is not None else activations,
        depth=depth if sizes["depth"] is None else sizes["depth"],
        width=width if sizes["width"] is None else sizes["width"],
    )
