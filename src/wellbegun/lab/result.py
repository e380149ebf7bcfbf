"""What a comparison found: plain data that tables, pages and JSON are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wellbegun.diagnosis.facts import Finding, LayerFacts


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Run:
    """One training: a method, a seed and a learning rate.

    Attributes:
        steps: at which steps it was evaluated.
        train_loss, validation_accuracy: the values there.
        test_accuracy: at the end, on images that played no part in any choice.
        stopped: why it was stopped early, "" if it ran to the end.
        steps_to_target: first evaluated step with the target accuracy on validation images, None if never.
    """

    seed: int
    learning_rate: float
    steps: tuple[int, ...]
    train_loss: tuple[float, ...]
    validation_accuracy: tuple[float, ...]
    test_accuracy: float
    stopped: str
    steps_to_target: int | None


@dataclass(frozen=True)
class Arm:
    """One method on one network: all its runs, and what they come to.

    Attributes:
        method: as the user named it ("he", "auto").
        rule: the initializer or recipe as code.
        plan_text: the plan as a table, for the first seed.
        learning_rate: chosen by mean validation accuracy over the seeds.
        accuracy: test accuracy at that rate, over the seeds.
        working_rates: rates with a mean validation accuracy of at least 80% of what the best arm reached.
        steps_to_target: median over the seeds at the chosen rate, None if fewer than half reached it.
        layers, findings: step 0, first seed.
        loss: at step 0, first seed.
    """

    method: str
    rule: str
    plan_text: str
    learning_rate: float
    accuracy: Interval
    working_rates: tuple[float, ...]
    steps_to_target: float | None
    loss: float
    layers: tuple[LayerFacts, ...]
    findings: tuple[Finding, ...]
    runs: tuple[Run, ...]

    @property
    def hidden(self) -> tuple[LayerFacts, ...]:
        """Facts of the layers with an activation behind them, in order."""
        return tuple(layer for layer in self.layers if layer.activation)

    def chosen_runs(self) -> tuple[Run, ...]:
        """The runs at the chosen learning rate, one for each seed."""
        return tuple(run for run in self.runs if run.learning_rate == self.learning_rate)


@dataclass(frozen=True)
class NetworkResult:
    """All methods on one network.

    Attributes:
        name: for people, "tanh, 20 hidden layers of 64 units".
        activation, depth, width: of the network; depth counts hidden layers.
        arms: in the order in which the methods were named.
        winner: method with the highest mean test accuracy; None if none did better than guessing.
        best_other: the same among all but auto; None without any.
        auto_minus_best: paired difference of test accuracy over the seeds, auto minus best_other.
        width_one: mean test accuracy of the network with one unit a layer that starts as the same function as the
            "equal" arm and takes the same steps; None if that arm was not run.
        sentences: what happened and why, from the measurements.
    """

    name: str
    activation: str
    depth: int
    width: int
    arms: tuple[Arm, ...]
    winner: str | None
    best_other: str | None
    auto_minus_best: Interval | None
    width_one: float | None
    sentences: tuple[str, ...]

    def arm(self, method: str) -> Arm:
        """The arm of a method."""
        return next(arm for arm in self.arms if arm.method == method)


@dataclass(frozen=True)
class Comparison:
    """A finished comparison, or what was finished of it when it was interrupted.

    Attributes:
        task: name of the task.
        description: the data in one sentence, with source and licence.
        settings: everything needed to repeat it.
        networks: one for each network compared.
        interrupted: True if it was stopped before all seeds were done.
        seconds: wall time.
    """

    task: str
    description: str
    settings: dict[str, Any]
    networks: tuple[NetworkResult, ...]
    interrupted: bool = False
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
