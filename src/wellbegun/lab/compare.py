"""wb.compare: the same network, the same data in the same order, under several methods, seeds and learning rates."""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

import wellbegun
from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import require_torch
from wellbegun.lab.result import Arm, Comparison, NetworkResult, Run
from wellbegun.lab.statistics import accuracy_interval, paired_interval
from wellbegun.lab.task import Task, load_task
from wellbegun.lab.verdict import explain

if TYPE_CHECKING:
    from wellbegun.diagnosis import Diagnosis
    from wellbegun.plans import Plan

METHODS = (
    "zeros", "equal", "normal(std=1)", "uniform", "fan_in_uniform", "xavier", "he", "lecun", "orthogonal", "auto",
)  # fmt: skip
"""What is compared if nothing else is asked for."""

WORKING = 0.8
"""A learning rate works if its mean validation accuracy reaches this share of the best that any arm reached."""


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


def compare(
    task: str | Task = "digits",
    methods: Sequence[str] = METHODS,
    *,
    seeds: int = 5,
    activations: Sequence[str] = ("tanh", "relu"),
    depth: int = 20,
    width: int = 64,
    quick: bool = False,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Comparison:
    """Train the same network under several methods and say which starting weights are right for it, and why.

    Learning rates are chosen on the validation split, scores are taken on the test split. Every method sees the same
    batches in the same order. Ctrl-C ends the comparison early; what is finished is returned.

    Args:
        task: the name of a task, or a Task.
        methods: names, or names with arguments ("normal(std=0.02)"); "auto" is wellbegun's own choice.
        seeds: how many repetitions, at least 1; with 1 an interval knows only the chance of the test images.
        activations: one network is compared for each ("tanh", "relu", "gelu", ...).
        depth, width: hidden layers, and units in each.
        quick: fewer steps and learning rates.
        on_progress: told (steps done, steps in all, what is running).

    Raises:
        UnknownNameError: no such method, task or activation.
        ArgumentError: an empty list, or a number below 1.
        KeyboardInterrupt: interrupted before anything was finished.
    """
    settings = Settings(tuple(methods), seeds, tuple(activations), depth, width)
    settings = settings.quick() if quick else settings
    check_settings(settings)
    data = load_task(task) if isinstance(task, str) else task
    return _Comparing(data, settings, on_progress or (lambda *_: None)).run()


def check_settings(settings: Settings) -> None:
    """Raise ArgumentError or UnknownNameError unless a comparison can be run with these settings."""
    require_torch("comparing methods")
    from wellbegun.lab.network import PlainMLP
    from wellbegun.recipes.plan import find_recipe

    if settings.seeds < 1:
        raise ArgumentError(f"seeds must be at least 1, got {settings.seeds}")
    if not settings.methods or not settings.activations:
        raise ArgumentError("name at least one method and one activation")
    for name, given in (("methods", settings.methods), ("activations", settings.activations)):
        if len(set(given)) < len(given):
            raise ArgumentError(f"{name} names something twice: {', '.join(given)}")
    for method in settings.methods:
        find_recipe(method)
    for activation in settings.activations:
        PlainMLP(1, 1, depth=settings.depth, width=1, activation=activation)
    if settings.width < 1:
        raise ArgumentError(f"width must be at least 1, got {settings.width}")


@dataclass(frozen=True)
class _Start:
    """A method's plan on one network, and its step 0 for the first seed."""

    plan: Plan
    rule: str
    diagnosis: Diagnosis


class _Comparing:
    """One comparison while it runs."""

    def __init__(self, task: Task, settings: Settings, on_progress: Callable[[int, int, str], None]) -> None:
        self.task, self.settings, self.on_progress = task, settings, on_progress
        self.starts: dict[str, dict[str, _Start]] = {}
        self.runs: dict[str, dict[str, list[Run]]] = {}
        self.width_one: dict[str, list[list[float]]] = {}
        self.done = 0
        self.total = settings.seeds * len(settings.activations) * settings.steps

    def run(self) -> Comparison:
        """Train seed by seed, so that an interruption leaves whole seeds."""
        began, interrupted = time.perf_counter(), False
        try:
            for seed in range(self.settings.seeds):
                for activation in self.settings.activations:
                    self._one(activation, seed)
        except KeyboardInterrupt:
            if not self.runs:
                raise
            interrupted = True
        networks = tuple(
            self._network(activation) for activation in self.settings.activations if activation in self.runs
        )
        return Comparison(
            task=self.task.name,
            description=self.task.description,
            settings=_settings_record(self.settings, self.task),
            networks=networks,
            interrupted=interrupted,
            seconds=time.perf_counter() - began,
            versions=_versions(),
        )

    def _one(self, activation: str, seed: int) -> None:
        """Train all methods at all learning rates on one network with one seed."""
        from wellbegun.lab.ensemble import train_together

        settings = self.settings
        starts = self.starts.setdefault(activation, self._starts(activation, seed))
        jobs = [(method, rate) for method in settings.methods for rate in settings.rates]
        states = {method: self._state(activation, starts[method].plan.with_seed(seed)) for method in settings.methods}
        before = self.done

        def on_step(count: int) -> None:
            self.done += count
            self.on_progress(self.done, self.total, f"{activation}, seed {seed + 1} of {settings.seeds}")

        curves = train_together(
            self._model(activation, settings.width),
            [states[method] for method, _ in jobs],
            [rate for _, rate in jobs],
            self.task,
            seed=seed,
            steps=settings.steps,
            batch=settings.batch,
            every=settings.every,
            on_step=on_step,
        )
        width_one = self._train_width_one(activation, seed) if "equal" in settings.methods else None
        # only now: an interruption above leaves no half of this seed
        self.done = before + settings.steps
        kept = self.runs.setdefault(activation, {method: [] for method in settings.methods})
        for (method, rate), curve in zip(jobs, curves, strict=True):
            reached = (s for s, a in zip(curve.steps, curve.validation, strict=True) if a >= settings.target)
            series = tuple(curve.steps), tuple(curve.train_loss), tuple(curve.validation)
            kept[method].append(Run(seed, rate, *series, curve.test, curve.stopped, next(reached, None)))
        if width_one is not None:
            self.width_one.setdefault(activation, []).append(width_one)

    def _model(self, activation: str, width: int) -> Any:
        from wellbegun.lab.network import PlainMLP

        return PlainMLP(
            self.task.inputs, self.task.classes, depth=self.settings.depth, width=width, activation=activation
        )

    def _starts(self, activation: str, seed: int) -> dict[str, _Start]:
        import torch

        from wellbegun.diagnosis import diagnose
        from wellbegun.recipes import plan
        from wellbegun.targets import apply

        rows, labels = torch.from_numpy(self.task.train.rows), torch.from_numpy(self.task.train.labels)
        made = {}
        for method in self.settings.methods:
            model = self._model(activation, self.settings.width)
            planned = plan(model, rows, seed=seed, recipe=method)
            apply(planned, model)
            made[method] = _Start(planned, _rule(planned), diagnose(model, (rows[:256], labels[:256])))
        return made

    def _state(self, activation: str, planned: Plan) -> dict[str, Any]:
        from wellbegun.targets import apply

        model = self._model(activation, self.settings.width)
        apply(planned, model)
        return {name: parameter.detach() for name, parameter in model.named_parameters()}

    def _train_width_one(self, activation: str, seed: int) -> list[float]:
        """Test accuracy of the equal network's twin with one unit a layer, at each learning rate.

        With all weights equal, a layer of n units is one unit whose outgoing weight is n times as large. The twin
        starts as the same function; its learning rates make each step the same too: n times for the output weight,
        1/n for the first weight and the hidden biases, whose gradient the n units of the wide network share.
        """
        from wellbegun.lab.ensemble import train_together
        from wellbegun.targets import initialize

        settings, model, n = self.settings, self._model(activation, 1), float(self.settings.width)
        initialize(model, f"vector:{self.task.inputs}", seed=seed, recipe="equal")
        state = {name: parameter.detach() for name, parameter in model.named_parameters()}
        shared = {f"hidden.{i}.bias": 1 / n for i in range(settings.depth)} | {"hidden.0.weight": 1 / n}
        curves = train_together(
            self._model(activation, 1),
            [state] * len(settings.rates),
            settings.rates,
            self.task,
            seed=seed,
            steps=settings.steps,
            batch=settings.batch,
            every=settings.every,
            factors=shared | {"output.weight": n},
        )
        return [curve.test for curve in curves]

    def _network(self, activation: str) -> NetworkResult:
        settings, runs = self.settings, self.runs[activation]
        validation = {
            method: {rate: _mean_validation(runs[method], rate) for rate in settings.rates}
            for method in settings.methods
        }
        bar = WORKING * max(value for by_rate in validation.values() for value in by_rate.values())
        images = len(self.task.test.labels)
        arms = []
        for method in settings.methods:
            start, by_rate = self.starts[activation][method], validation[method]
            chosen = max(by_rate, key=lambda rate: by_rate[rate])
            mine = [run for run in runs[method] if run.learning_rate == chosen]
            arms.append(
                Arm(
                    method=method,
                    rule=start.rule,
                    plan_text=str(start.plan),
                    learning_rate=chosen,
                    accuracy=accuracy_interval([run.test_accuracy for run in mine], images),
                    working_rates=tuple(rate for rate, value in by_rate.items() if value >= bar),
                    steps_to_target=_median_steps(mine),
                    loss=start.diagnosis.loss,
                    layers=start.diagnosis.layers,
                    findings=start.diagnosis.findings,
                    runs=tuple(runs[method]),
                )
            )
        ranked = sorted(arms, key=lambda arm: -arm.accuracy.mean)
        others = [arm for arm in ranked if arm.method != "auto"]
        auto = next((arm for arm in arms if arm.method == "auto"), None)
        difference = None
        if auto is not None and others:
            first, second = ([run.test_accuracy for run in arm.chosen_runs()] for arm in (auto, others[0]))
            difference = paired_interval(first, second, images)
        result = NetworkResult(
            name=f"{activation}, {settings.depth} hidden layers of {settings.width} units",
            activation=activation,
            depth=settings.depth,
            width=settings.width,
            arms=tuple(arms),
            winner=ranked[0].method,
            best_other=others[0].method if others else None,
            auto_minus_best=difference,
            width_one=self._width_one(activation, next((arm for arm in arms if arm.method == "equal"), None)),
            sentences=(),
        )
        return replace(result, sentences=explain(result, chance=_chance(self.task)))

    def _width_one(self, activation: str, equal: Arm | None) -> float | None:
        """Mean test accuracy of the twin at the learning rate that was chosen for the equal network."""
        if equal is None:
            return None
        rate = self.settings.rates.index(equal.learning_rate)
        return float(np.mean([by_rate[rate] for by_rate in self.width_one[activation]]))


def _mean_validation(runs: list[Run], rate: float) -> float:
    return float(np.mean([run.validation_accuracy[-1] for run in runs if run.learning_rate == rate]))


def _median_steps(runs: list[Run]) -> float | None:
    """The median over the seeds, a seed that never arrived counting as infinitely late."""
    steps = [math.inf if run.steps_to_target is None else run.steps_to_target for run in runs]
    median = statistics.median(steps)
    return float(median) if math.isfinite(median) else None


def _rule(planned: Plan) -> str:
    """The initializer of the hidden weights, as code."""
    weights = [entry for entry in planned if entry.role == "linear weight"]
    return weights[len(weights) // 2].initializer if weights else planned.recipe


def _chance(task: Task) -> float:
    return 1.0 / task.classes


def _settings_record(settings: Settings, task: Task) -> dict[str, Any]:
    record = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    more = {"optimizer": "SGD, momentum 0.9, constant learning rate", "chance": _chance(task)}
    sizes = {name: len(getattr(task, name).labels) for name in ("train", "validation", "test")}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in record.items()} | more | sizes


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    packages = {name: version(name) for name in ("torch", "numpy", "numba", "scikit-learn")}
    packages["wellbegun"] = wellbegun.__version__
    return packages | {"python": platform.python_version(), "machine": platform.machine()}
