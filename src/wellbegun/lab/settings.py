"""What a comparison is asked to do, and whether it can be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.graph.framework import require_torch
from wellbegun.lab.trials.trial import OPTIMIZERS, Trial

if TYPE_CHECKING:
    from wellbegun.lab.outcome.subject import Subject

METHODS = (
    "zeros", "equal", "normal(std=1)", "uniform", "fan_in_uniform", "xavier", "he", "lecun", "orthogonal", "auto",
)  # fmt: skip
"""What is compared if nothing else is asked for."""

RATES = {"sgd": (0.001, 0.005, 0.02, 0.08), "adam": (0.0003, 0.001, 0.003, 0.01)}
"""Learning rates tried for each method, by optimizer."""

DIGITS_TARGET = 0.9

_TOLD = {
    "sgd": "SGD, momentum 0.9, constant learning rate",
    "adam": "Adam, betas 0.9 and 0.999, constant learning rate",
}


@dataclass(frozen=True)
class NetworkSettings:
    """One network that all methods start.

    Attributes:
        name: one of the lab's networks, or what the user calls his own.
        depth, width, activation: as the network counts them; None where it is the user's own.
        options: further arguments, by name.
    """

    name: str = "mlp"
    depth: int | None = 20
    width: int | None = 64
    activation: str | None = "tanh"
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        """The network in words: "tanh, 20 hidden layers of 64 units"."""
        if self.depth is None or self.width is None:
            return self.name
        if self.name == "mlp":
            layers = f"{self.depth} hidden {'layer' if self.depth == 1 else 'layers'}"
            return f"{self.activation}, {layers} of {self.width} {'unit' if self.width == 1 else 'units'}"
        more = "".join(f", {name} {value}" for name, value in self.options)
        return f"{self.name}, {self.activation}, depth {self.depth}, width {self.width}{more}"

    @property
    def slug(self) -> str:
        """The network as part of a file's name."""
        parts = [self.name, self.activation, self.depth, self.width, *(f"{k}{v}" for k, v in self.options)]
        text = "-".join(str(part) for part in parts if part is not None)
        return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in text)


@dataclass(frozen=True)
class Settings:
    """Everything that a comparison needs besides the task.

    Attributes:
        methods: names, or names with arguments ("normal(std=0.02)").
        seeds: how many; they are 0, 1, 2, ...
        activations: one network is compared for each; empty where the network is the user's own.
        depth, width: of the network; depth counts hidden layers or blocks.
        rates: learning rates tried for each method; empty for those of the optimizer.
        steps, batch: of training.
        every: steps between evaluations.
        target: validation score whose first step is reported; None: 90% of what the best arm gains over guessing.
        network: name of the network.
        optimizer: "sgd" or "adam".
        options: further arguments of the network, by name.
    """

    methods: tuple[str, ...] = METHODS
    seeds: int = 5
    activations: tuple[str, ...] = ("tanh", "relu")
    depth: int | None = 20
    width: int | None = 64
    rates: tuple[float, ...] = ()
    steps: int = 250
    batch: int = 64
    every: int = 10
    target: float | None = None
    network: str = "mlp"
    optimizer: str = "sgd"
    options: tuple[tuple[str, Any], ...] = ()

    def quick(self) -> Settings:
        """Return the short form: fewer steps and learning rates, for a first look and for tests."""
        rates = self.rates or RATES[self.optimizer][1:3]
        return replace(self, rates=rates, steps=min(self.steps, 120))

    def networks(self) -> tuple[NetworkSettings, ...]:
        """Return the networks that are compared."""
        if not self.activations:
            return (NetworkSettings(self.network, None, None, None),)
        return tuple(
            NetworkSettings(self.network, self.depth, self.width, activation, self.options)
            for activation in self.activations
        )

    def trials(self, task: str, network: NetworkSettings, seed: int) -> list[Trial]:
        """Return the trainings of one network with one seed: all methods at all rates, and the equal arm's twin.

        Args:
            task: name of the data.
            network: one of `networks()`.
            seed: of weights and data order.
        """
        first = Trial(
            task,
            network.name,
            self.methods[0],
            seed,
            self.rates[0],
            self.optimizer,
            network.depth,
            network.width,
            network.activation,
            network.options,
            self.steps,
            self.batch,
            self.every,
        )
        arms = [(method, False) for method in self.methods]
        # the twin's learning rates follow from the steps of SGD; Adam's have no such rule
        if "equal" in self.methods and network.name == "mlp" and self.optimizer == "sgd" and (network.width or 1) > 1:
            arms.append(("equal", True))
        return [
            replace(first, method=method, learning_rate=rate, twin=twin) for method, twin in arms for rate in self.rates
        ]

    def record(self, subject: Subject) -> dict[str, Any]:
        """Return everything needed to repeat the comparison, as plain data."""
        record = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        if not self.options:
            del record["options"]
        told = {"optimizer": _TOLD[self.optimizer], "chance": subject.scale.chance, "measure": subject.scale.measure}
        return record | told | dict(subject.sizes)

    def plain(self) -> dict[str, Any]:
        """Return the settings alone as plain data, from which `from_plain` makes them again."""
        return asdict(self) | {"options": [list(pair) for pair in self.options]}

    @staticmethod
    def from_plain(record: Mapping[str, Any]) -> Settings:
        """Make the settings that plain data describe."""
        lists = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
        return Settings(**lists | {"options": tuple((name, value) for name, value in record["options"])})


def checked(settings: Settings, *, own: bool = False) -> Settings:
    """Return the settings with every method under its canonical name, and the learning rates of the optimizer.

    Args:
        settings: what the user asks for.
        own: whether the network is the user's own function, which has no sizes to check.

    Raises:
        UnknownNameError: no such method, network or activation; the closest names are offered.
        ArgumentError: an empty list, something named twice, or a number below 1.
    """
    require_torch("comparing methods")
    from wellbegun.lab.network import ACTIVATIONS
    from wellbegun.lab.networks import NETWORKS
    from wellbegun.lab.trials.method import canonical

    for name in ("seeds", "steps", "batch", "every", *(() if own else ("depth", "width"))):
        if getattr(settings, name) < 1:
            raise ArgumentError(f"{name} must be at least 1, got {getattr(settings, name)}")
    if not settings.methods or not (settings.activations or own):
        raise ArgumentError("name at least one method and one activation")
    if settings.optimizer not in OPTIMIZERS:
        raise UnknownNameError("optimizer", settings.optimizer, OPTIMIZERS)
    methods = tuple(canonical(method) for method in settings.methods)
    settings = replace(settings, methods=methods, rates=settings.rates or RATES[settings.optimizer])
    for name in ("methods", "activations", "rates"):
        given = getattr(settings, name)
        if len(set(given)) < len(given):
            raise ArgumentError(f"{name} names something twice: {', '.join(map(str, given))}")
    if not own:
        if settings.network not in NETWORKS:
            raise UnknownNameError("network", settings.network, NETWORKS)
        for activation in settings.activations:
            if activation not in ACTIVATIONS:
                raise UnknownNameError("activation of the lab's networks", activation, ACTIVATIONS)
    settings.trials("", settings.networks()[0], 0)  # a bad learning rate is refused here
    return settings
