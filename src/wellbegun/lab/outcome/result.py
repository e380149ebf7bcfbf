"""What a comparison found: plain data that tables, pages and JSON are made from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from wellbegun.diagnosis.facts import Finding, LayerFacts
from wellbegun.lab.outcome.scale import Scale


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% confidence interval."""

    mean: float
    low: float
    high: float


BETTER, WORSE, NO_DIFFERENCE = "better", "worse", "no difference"


@dataclass(frozen=True)
class Difference:
    """A method's test score minus another's, over the same seeds and test examples.

    Attributes:
        against: the other method.
        interval: of the difference, wide enough that all intervals of its family hold together in 95 of 100 cases.
        pairs: how many those are.
        verdict: "better", "worse" or "no difference"; the last is said unless the interval leaves zero out.
        same_plan: whether the two methods plan the very same weights.
    """

    against: str
    interval: Interval
    pairs: int
    verdict: str
    same_plan: bool = False


@dataclass(frozen=True)
class Run:
    """One training: a method, a seed and a learning rate.

    Attributes:
        steps: at which steps it was evaluated.
        train_loss, validation: the loss and the validation score there.
        test_score: at the end, on examples that played no part in any choice.
        stopped: why it was stopped early, "" if it ran to the end.
        steps_to_target: first evaluated step with the target score on validation examples, None if never.
        area: mean validation score over the training (area under its curve over the number of steps).
        ended: "whole", "diverged" or "vanished".
        seconds: wall time.
        key: of the trial.
    """

    seed: int
    learning_rate: float
    steps: tuple[int, ...]
    train_loss: tuple[float, ...]
    validation: tuple[float, ...]
    test_score: float
    stopped: str
    steps_to_target: int | None
    area: float = math.nan
    ended: str = "whole"
    seconds: float = 0.0
    key: str = ""


@dataclass(frozen=True)
class Arm:
    """One method on one network: all its runs, and what they come to.

    Attributes:
        method: as the user named it ("he", "auto").
        rule: the initializer or recipe as code.
        plan_text: the plan as a table, for the first seed.
        learning_rate: chosen by mean validation score over the seeds.
        score: test score at that rate, over the seeds.
        working_rates: rates with a mean validation score of at least 80% of what the best arm reached.
        steps_to_target: median over the seeds at the chosen rate, None if fewer than half reached it.
        layers, findings: step 0, first seed.
        loss: at step 0, first seed.
        area: mean over the seeds at the chosen rate of the mean validation score over the training.
        divergence: share of all its runs, at any rate, that diverged.
        seconds: mean wall time of a run.
        plan_hash: of the plan.
        against: differences from other methods at each one's chosen rate: from the winner, from the framework's
            default and from auto, as far as they were compared.
    """

    method: str
    rule: str
    plan_text: str
    learning_rate: float
    score: Interval
    working_rates: tuple[float, ...]
    steps_to_target: float | None
    loss: float
    layers: tuple[LayerFacts, ...]
    findings: tuple[Finding, ...]
    runs: tuple[Run, ...]
    area: float = math.nan
    divergence: float = 0.0
    seconds: float = 0.0
    plan_hash: str = ""
    against: tuple[Difference, ...] = ()

    @property
    def hidden(self) -> tuple[LayerFacts, ...]:
        """Facts of the layers with an activation behind them, in order; without any, of all layers but the last."""
        return tuple(layer for layer in self.layers if layer.activation) or self.layers[:-1]

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates that were tried, smallest first."""
        return tuple(sorted({run.learning_rate for run in self.runs}))

    @property
    def decades(self) -> float | None:
        """Width of the range of learning rates that work, in powers of ten: the longest stretch of neighbours.

        None where none works; 0 where a single rate does, since nothing is known of what lies between two rates.
        """
        longest: float | None = None
        start: float | None = None
        for rate in self.rates:
            start = (start or rate) if rate in self.working_rates else None
            if start is not None:
                longest = max(longest or 0.0, math.log10(rate / start))
        return longest

    @property
    def edge(self) -> str:
        """ "largest" or "smallest" if the chosen rate is that of those tried: a better one may lie beyond; else "".

        Of two rates each is at an edge, so it says nothing there.
        """
        if len(self.rates) < 3:
            return ""
        return {self.rates[0]: "smallest", self.rates[-1]: "largest"}.get(self.learning_rate, "")

    def chosen_runs(self) -> tuple[Run, ...]:
        """The runs at the chosen learning rate, one for each seed."""
        return tuple(run for run in self.runs if run.learning_rate == self.learning_rate)

    def difference(self, other: str) -> Difference | None:
        """The difference from another method, if it was looked at."""
        return next((found for found in self.against if found.against == other), None)


@dataclass(frozen=True)
class NetworkResult:
    """All methods on one network.

    Attributes:
        name: for people, "tanh, 20 hidden layers of 64 units".
        activation, depth, width: of the network; depth counts hidden layers. None where it is the user's own.
        arms: in the order in which the methods were named.
        winner: method with the best mean test score; None if none did better than guessing.
        best_other: the same among all but auto; None without any.
        auto_minus_best: paired difference of test scores over the seeds, auto minus best_other.
        width_one: mean test score of the network with one unit a layer that starts as the same function as the
            "equal" arm and takes the same steps; None if that arm was not run.
        sentences: what happened and why, from the measurements.
        scale: what the scores are.
        target: validation score whose first step is reported.
        default: the arm that is the framework's default, if it was compared.
    """

    name: str
    activation: str | None
    depth: int | None
    width: int | None
    arms: tuple[Arm, ...]
    winner: str | None
    best_other: str | None
    auto_minus_best: Interval | None
    width_one: float | None
    sentences: tuple[str, ...]
    scale: Scale = field(default_factory=Scale)
    target: float = 0.9
    default: str | None = None

    def arm(self, method: str) -> Arm:
        """The arm of a method."""
        return next(arm for arm in self.arms if arm.method == method)

    def ranked(self) -> list[Arm]:
        """The arms, best test score first; those without a number come last."""
        return sorted(self.arms, key=lambda arm: -self.scale.goodness(arm.score.mean))


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
        left_out: what was not trained, or does not count because not every method had it; "" if nothing.
    """

    task: str
    description: str
    settings: dict[str, Any]
    networks: tuple[NetworkResult, ...]
    interrupted: bool = False
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    left_out: str = ""
