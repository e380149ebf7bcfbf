"""Trials that are trained in one go, with all that a worker needs for it."""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

import wellbegun
from wellbegun.lab.measure import measure_of
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task
from wellbegun.lab.trials.alone import train_alone
from wellbegun.lab.trials.curve import Curve
from wellbegun.lab.trials.method import rate_factors
from wellbegun.lab.trials.network import builder
from wellbegun.lab.trials.together import train_together
from wellbegun.lab.trials.trial import Trial
from wellbegun.lab.trials.trial_result import TrialResult, in_blocks
from wellbegun.plans import Plan

OnStep = Callable[[int], None]


@dataclass(frozen=True)
class Bundle:
    """Trials of one network with one seed: they see the same batches, so they can train as one program.

    Attributes:
        trials: they differ in method and learning rate only.
        plans: starting weights by method, for the seed of the trials.
        task: the data, or the name that the worker loads them by.
        own: the user's function that builds the network, or its name "module:function"; None for the lab's networks.
    """

    trials: tuple[Trial, ...]
    plans: Mapping[str, Plan]
    task: Task | str
    own: Callable[..., Any] | str | None = None


def train_bundle(bundle: Bundle, on_step: OnStep = lambda _: None) -> list[TrialResult]:
    """Train all trials of a bundle on one thread; the numbers do not depend on where this runs.

    Args:
        bundle: one trial, which trains by itself, or several, which train as one program.
        on_step: told how many steps were just finished, of the steps of one trial.
    """
    from wellbegun.targets import apply

    began = time.perf_counter()
    task = bundle.task if isinstance(bundle.task, Task) else _loaded(bundle.task)
    first = bundle.trials[0]
    build = builder(first, task, bundle.own)
    same: dict[str, Any] = {name: getattr(first, name) for name in ("seed", "steps", "batch", "every", "optimizer")}
    with one_thread():
        models = {}
        for method, plan in bundle.plans.items():
            models[method] = build()
            apply(plan, models[method])
        factors = [_factors(trial, bundle.plans[trial.method]) for trial in bundle.trials]
        if len(bundle.trials) == 1:
            rate = first.learning_rate
            curves = [train_alone(models[first.method], rate, task, factors=factors[0], on_step=on_step, **same)]
        else:
            states = {
                method: {name: parameter.detach() for name, parameter in model.named_parameters()}
                for method, model in models.items()
            }
            curves = train_together(
                models[first.method],
                [states[trial.method] for trial in bundle.trials],
                [trial.learning_rate for trial in bundle.trials],
                task,
                factors=factors,
                on_step=on_step,
                **same,
            )
    seconds = (time.perf_counter() - began) / len(bundle.trials)
    hashes = {method: plan.hash for method, plan in bundle.plans.items()}
    return [
        _result(trial, curve, task, seconds, len(bundle.trials), hashes[trial.method])
        for trial, curve in zip(bundle.trials, curves, strict=True)
    ]


def _result(trial: Trial, curve: Curve, task: Task, seconds: float, together: int, plan_hash: str) -> TrialResult:
    items = curve.items.astype(np.float32)
    by_example: Any = items > 0.5 if task.kind == "classes" else in_blocks(items)
    return TrialResult(
        trial,
        tuple(curve.steps),
        tuple(curve.train_loss),
        tuple(curve.validation),
        measure_of(task.kind).total(curve.items),
        by_example,
        curve.ended,
        curve.stopped,
        seconds,
        together,
        plan_hash,
        versions(),
    )


def _factors(trial: Trial, plan: Plan) -> Mapping[str, float]:
    """Learning-rate factors: the plan's own, and those of a twin.

    With all weights equal, a layer of n units is one unit whose outgoing weight is n times as large. The twin with one
    unit a layer starts as the same function; its learning rates make each step the same too: n times for the output
    weight, 1/n for the first weight and the hidden biases, whose gradient the n units of the wide network share.
    """
    factors = dict(rate_factors(plan, trial.optimizer))
    if trial.twin and trial.width is not None and trial.depth is not None:
        n = float(trial.width)
        factors |= {f"hidden.{i}.bias": 1 / n for i in range(trial.depth)}
        factors |= {"hidden.0.weight": 1 / n, "output.weight": n}
    return factors


@lru_cache(maxsize=1)
def _loaded(name: str) -> Task:
    """The task that this process works on: a worker gets one bundle after the other."""
    return load_task(name)


@contextmanager
def one_thread() -> Iterator[None]:
    """Have PyTorch compute on one thread, so that sums are made in the same order everywhere, and set it back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def bundles_of(trials: Sequence[Trial], size: int) -> list[tuple[Trial, ...]]:
    """Cut the trials of one network and one seed into bundles of at most this size.

    Whole learning rates come one after the other, each with all its methods, those in the middle first: a comparison
    that is cut short has the same rates for every method, and not the outermost ones. The cut depends on the trials
    alone, not on how many workers there are.

    Args:
        trials: of one network and one seed.
        size: number of trials that train together; 1: each by itself.
    """
    rates = sorted({trial.learning_rate for trial in trials})
    place = {rate: abs(i - (len(rates) - 1) / 2) for i, rate in enumerate(rates)}
    ordered = sorted(trials, key=lambda trial: (place[trial.learning_rate], trial.learning_rate))
    count = max(1, -(-len(ordered) // size))
    even = max(1, -(-len(ordered) // count))
    return [tuple(ordered[start : start + even]) for start in range(0, len(ordered), even)]


def versions() -> dict[str, str]:
    """Return the versions of what decides the numbers."""
    known = {"torch": "torch", "numpy": "numpy", "numba": "numba", "scikit-learn": "sklearn"}
    found = {name: version(name) for name, module in known.items() if importlib.util.find_spec(module)}
    return found | {
        "wellbegun": wellbegun.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
