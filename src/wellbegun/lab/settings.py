"""What a comparison is asked to do, and whether it can be done."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import require_torch
from wellbegun.lab.task import Task
from wellbegun.laws import parse_method

METHODS = (
    "zeros", "equal", "normal(std=1)", "uniform", "fan_in_uniform", "xavier", "he", "lecun", "orthogonal", "auto",
)  # fmt: skip
"""What is compared if nothing else is asked for."""


@dataclass(frozen=True)
class Settings:
    """Everything that a comparison needs besides the task.

    Attributes:
        methods: names, or names with arguments ("normal(std=0.02)").
        seeds: how many; they are 0, 1, 2, ...
        activations: one network is compared for each.
        depth, width: of the plain network; depth counts hidden layers.
        rates: learning rates tried for each method.
        steps, batch: of training.
        every: steps between evaluations.
        target: validation accuracy whose first step is reported.
    """

    methods: tuple[str, ...] = METHODS
    seeds: int = 5
    activations: tuple[str, ...] = ("tanh", "relu")
    depth: int = 20
    width: int = 64
    rates: tuple[float, ...] = (0.001, 0.005, 0.02, 0.08)
    steps: int = 250
    batch: int = 64
    every: int = 10
    target: float = 0.9

    def quick(self) -> Settings:
        """Return the short form: fewer steps and learning rates, for a first look and for tests."""
        return replace(self, rates=self.rates[1:3], steps=min(self.steps, 120))

    def record(self, task: Task) -> dict[str, Any]:
        """Return everything needed to repeat the comparison, as plain data."""
        record = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        sizes = {name: len(getattr(task, name)) for name in ("train", "validation", "test")}
        return record | {"optimizer": "SGD, momentum 0.9, constant learning rate", "chance": task.chance} | sizes


def checked(settings: Settings) -> Settings:
    """Return the settings with every method under its canonical name.

    Raises:
        UnknownNameError: no such method or activation; the closest names are offered.
        ArgumentError: an empty list, something named twice, or a number below 1.
    """
    require_torch("comparing methods")
    from wellbegun.lab.network import PlainMLP

    for name in ("seeds", "depth", "width"):
        if getattr(settings, name) < 1:
            raise ArgumentError(f"{name} must be at least 1, got {getattr(settings, name)}")
    if not settings.methods or not settings.activations:
        raise ArgumentError("name at least one method and one activation")
    settings = replace(settings, methods=tuple(canonical(method) for method in settings.methods))
    for name, given in (("methods", settings.methods), ("activations", settings.activations)):
        if len(set(given)) < len(given):
            raise ArgumentError(f"{name} names something twice: {', '.join(given)}")
    for activation in settings.activations:
        PlainMLP(1, 1, depth=settings.depth, width=1, activation=activation)
    return settings


def canonical(method: str) -> str:
    """Return a method's own name, with the arguments as they were written.

    >>> canonical("Glorot"), canonical("AUTO"), canonical("normal( std=1 )")
    ('xavier', 'auto', 'normal(std=1)')
    """
    if method.strip().lower() in ("auto", "auto@0"):
        return "auto"
    found, arguments = parse_method(method)
    found.make(**arguments)
    written = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"{found.name}({written})" if written else found.name
