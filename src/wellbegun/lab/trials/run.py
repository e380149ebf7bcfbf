"""One trial from start to end: data in, result out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wellbegun.lab.task import Task
from wellbegun.lab.tasks import load_task
from wellbegun.lab.trials.bundle import Bundle, train_bundle
from wellbegun.lab.trials.method import plan_method
from wellbegun.lab.trials.network import builder
from wellbegun.lab.trials.trial import Trial
from wellbegun.lab.trials.trial_result import TrialResult


def run_trial(trial: Trial, *, task: Task | None = None, own: Callable[..., Any] | str | None = None) -> TrialResult:
    """Carry out one trial by itself, in this process, on one thread.

    >>> trial = Trial("digits", "mlp", "he", seed=0, learning_rate=0.02, depth=2, width=16, activation="relu", steps=20)
    >>> result = run_trial(trial)
    >>> result.steps, result.ended, result.together
    ((0, 10, 20), 'whole', 1)

    Args:
        trial: what to train.
        task: the data; None: those that the trial names.
        own: the user's function that builds the network, or its name; None for the lab's networks.

    Raises:
        UnknownNameError: no such task, network or method.
        ArgumentError: the network does not suit the task, or the method does not suit the network.
    """
    data = load_task(trial.task) if task is None else task
    plan = plan_method(trial.method, builder(trial, data, own), data, trial.seed)
    return train_bundle(Bundle((trial,), {trial.method: plan}, data, own))[0]
