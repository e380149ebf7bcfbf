"""The figure of one recipe: signal and gradient through the network that it is for, beside another recipe's."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch

from card_figures.drawing import MAIN, OTHER, Axis, Panel, around, picture
from card_figures.networks import NETWORKS, Memory, Shown
from wellbegun.diagnosis import diagnose
from wellbegun.errors import PlanError, UnmetMultiplierWarning
from wellbegun.laws import Card, Domain
from wellbegun.plans import Plan
from wellbegun.recipes import plan
from wellbegun.targets import apply

DEFAULT = "author"
SEED = 7


@dataclass(frozen=True)
class Profile:
    """Second moments along a network.

    Attributes:
        signal, gradient: behind each layer, or at each step of time.
        along: what they are in order of.
    """

    signal: tuple[float, ...]
    gradient: tuple[float, ...]
    along: str


@dataclass(frozen=True)
class Start:
    """A recipe on the network that its figure shows.

    Attributes:
        shown: the network.
        recipe: what `wb.plan` takes.
        plan: of the network.
    """

    shown: Shown
    recipe: str
    plan: Plan

    @property
    def note(self) -> str:
        """What the figure was made from."""
        return f"{self.recipe} on {self.shown.name}: plan {self.plan.hash[:16]}"

    def figure(self, name: str) -> str:
        """Return the figure."""
        other = "auto" if name == DEFAULT else DEFAULT
        own = profile(self.shown, self.plan)
        beside = profile(self.shown, _planned(self.shown, other))
        what = "its own code" if other == DEFAULT else other
        profiles = ((name, own, MAIN), (what, beside, OTHER))
        return compared(profiles, f"{name} beside {what}", self.shown.name, self.note)


def start_of(card: Card, recipe: str) -> Start:
    """Return a recipe on the first network that its domain holds and that it does not refuse."""
    domain = Domain.read(card.domain or "any")
    for shown in NETWORKS if card.domain else (NETWORKS[0], NETWORKS[-1]):  # rows of layers, or two heads
        if domain.unmet(shown.traits):
            continue
        try:
            return Start(shown, recipe, _planned(shown, recipe))
        except PlanError:
            continue
    raise AssertionError(f"no network shows {card.name}, whose domain is {card.domain!r}")


def compared(profiles: tuple[tuple[str, Profile, str], ...], title: str, where: str, note: str) -> str:
    """Return two panels: the signals, and the gradients.

    Args:
        profiles: each with its name and colour.
        title: what is compared.
        where: the network, in words.
        note: what the figure is made from.
    """
    panels = []
    parts: tuple[tuple[str, Callable[[Profile], tuple[float, ...]]], ...] = (
        ("signal", lambda found: found.signal),
        ("gradient", lambda found: found.gradient),
    )
    for what, part in parts:
        length = max(len(part(found)) for _, found, _ in profiles)
        ends = around([value for _, found, _ in profiles for value in part(found)], log=True)
        x = Axis(0.5, length + 0.5, profiles[0][1].along)
        panel = Panel(x, Axis(*ends, "second moment", log=True), what)
        for name, found, colour in reversed(profiles):
            points = [(i, value if value > 0 else math.nan) for i, value in enumerate(part(found), start=1)]
            panel.line(points, colour, name)
            panel.dots(points, colour)
        panels.append(panel)
    return picture(panels, f"{title}: {where}", note, f"{title}: {where}")


def profile(shown: Shown, made: Plan) -> Profile:
    """Return what a plan makes of a network, measured."""
    torch.manual_seed(SEED)
    model = shown.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmetMultiplierWarning)
        apply(made, model, overwrite=True)
    if shown.in_time:
        assert isinstance(model, Memory)
        return _in_time(model)
    layers = [layer for layer in diagnose(model, shown.inputs).layers if layer.kind != "lookup"]
    return Profile(tuple(layer.signal for layer in layers), tuple(layer.gradient for layer in layers), "layer")


def _in_time(model: Memory) -> Profile:
    """State by step of time, and the gradient of the last state with respect to each input."""
    inputs = torch.randn(64, 40, 8, generator=torch.Generator().manual_seed(SEED), requires_grad=True)
    states = model.memory(inputs)[0]
    direction = torch.randn(states.shape[-1], generator=torch.Generator().manual_seed(SEED))
    (gradient,) = torch.autograd.grad((states[:, -1] * direction).sum(), inputs)
    moments = [tuple(part.detach().double().square().mean((0, 2)).tolist()) for part in (states, gradient)]
    return Profile(moments[0], moments[1], "step of time")


@lru_cache(maxsize=64)
def _planned(shown: Shown, recipe: str) -> Plan:
    return plan(shown.build, shown.inputs, seed=SEED, recipe=recipe)
