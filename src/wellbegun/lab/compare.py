"""wb.compare: the same network, the same data in the same order, under several methods, seeds and learning rates."""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import wellbegun
from wellbegun.errors import ArgumentError, PlanError
from wellbegun.lab.judge import Start, Trained, judge
from wellbegun.lab.result import Comparison, Run
from wellbegun.lab.settings import METHODS, Settings, checked
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task

Progress = Callable[[int, int, str], None]


def compare(
    task: str | Task = "digits",
    methods: Sequence[str] = METHODS,
    *,
    seeds: int = 5,
    activations: Sequence[str] = ("tanh", "relu"),
    depth: int = 20,
    width: int = 64,
    quick: bool = False,
    on_progress: Progress | None = None,
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
    settings = checked(settings.quick() if quick else settings)
    data = load_task(task) if isinstance(task, str) else task
    return _Comparing(data, settings, on_progress or (lambda *_: None)).run()


class _Comparing:
    """One comparison while it runs."""

    def __init__(self, task: Task, settings: Settings, on_progress: Progress) -> None:
        self.task, self.settings, self.on_progress = task, settings, on_progress
        self.starts: dict[str, dict[str, Start]] = {}
        self.trained: dict[str, dict[str, list[Trained]]] = {}
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
            if not self.trained:
                raise
            interrupted = True
        networks = tuple(
            judge(name, self.task, self.settings, self.starts[name], trained, self.width_one.get(name, []))
            for name, trained in self.trained.items()
        )
        return Comparison(
            task=self.task.name,
            description=self.task.description,
            settings=self.settings.record(self.task),
            networks=networks,
            interrupted=interrupted,
            seconds=time.perf_counter() - began,
            versions=_versions(),
        )

    def _one(self, activation: str, seed: int) -> None:
        """Train all methods at all learning rates on one network with one seed."""
        from wellbegun.lab.ensemble import train_together

        settings = self.settings
        if activation not in self.starts:
            self.starts[activation] = {method: self._start(activation, method, seed) for method in settings.methods}
        starts = self.starts[activation]
        jobs = [(method, rate) for method in settings.methods for rate in settings.rates]
        states = {method: self._state(activation, start.plan.with_seed(seed)) for method, start in starts.items()}
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
        kept = self.trained.setdefault(activation, {method: [] for method in settings.methods})
        for (method, rate), curve in zip(jobs, curves, strict=True):
            reached = (s for s, a in zip(curve.steps, curve.validation, strict=True) if a >= settings.target)
            series = tuple(curve.steps), tuple(curve.train_loss), tuple(curve.validation)
            run = Run(seed, rate, *series, float(curve.right.mean()), curve.stopped, next(reached, None))
            kept[method].append(Trained(run, curve.right))
        if width_one is not None:
            self.width_one.setdefault(activation, []).append(width_one)

    def _model(self, activation: str, width: int) -> Any:
        from wellbegun.lab.network import PlainMLP

        sizes = {"depth": self.settings.depth, "width": width}
        return PlainMLP(self.task.inputs, self.task.outputs, **sizes, activation=activation)

    def _start(self, activation: str, method: str, seed: int) -> Start:
        """Plan a method on one network and measure its step 0."""
        import torch

        from wellbegun.diagnosis import diagnose
        from wellbegun.recipes import plan
        from wellbegun.targets import apply

        rows, labels = torch.from_numpy(self.task.train.inputs), torch.from_numpy(self.task.train.targets)
        model = self._model(activation, self.settings.width)
        try:
            planned = plan(model, rows, seed=seed, recipe=method)
        except PlanError as error:
            raise ArgumentError(f"the method {method} does not fit this network: {error}") from None
        apply(planned, model)
        weights = [entry for entry in planned if entry.role == "linear weight"]
        rule = weights[len(weights) // 2].initializer
        return Start(planned, rule, diagnose(model, (rows[:256], labels[:256])))

    def _state(self, activation: str, planned: Any) -> dict[str, Any]:
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
        return [float(curve.right.mean()) for curve in curves]


def _versions() -> dict[str, str]:
    known = {"torch": "torch", "numpy": "numpy", "numba": "numba", "scikit-learn": "sklearn"}
    found = {name: version(name) for name, module in known.items() if importlib.util.find_spec(module)}
    return found | {
        "wellbegun": wellbegun.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
