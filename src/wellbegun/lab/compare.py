"""wb.compare: the same network, the same data in the same order, under several methods, seeds and learning rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError
from wellbegun.lab.outcome.result import Comparison
from wellbegun.lab.settings import METHODS, checked

if TYPE_CHECKING:
    from wellbegun.lab.task import Task

Progress = Callable[[int, int, str], None]


def compare(
    task: str | Task | Callable[[], Task] = "digits",
    methods: Sequence[str] = METHODS,
    *,
    seeds: int = 5,
    network: str | Callable[..., Any] | None = None,
    activations: Sequence[str] | None = None,
    depth: int | None = None,
    width: int | None = None,
    options: Mapping[str, Any] | None = None,
    rates: Sequence[float] = (),
    optimizer: str = "sgd",
    steps: int = 250,
    batch: int = 64,
    target: float | None = None,
    quick: bool = False,
    executor: str | Executor | None = None,
    out: str | Path | None = None,
    minutes: float | None = None,
    on_progress: Progress | None = None,
) -> Comparison:
    """Train the same network under several methods and say which starting weights are right for it, and why.

    Learning rates are chosen on the validation split, scores are taken on the test split. Every method sees the same
    batches in the same order, and has the same seeds and learning rates, whatever ends the comparison. Ctrl-C ends it
    early; what is finished is returned.

    Args:
        task: the name of a task, a Task, or a function that makes one.
        methods: names, or names with arguments ("normal(std=0.02)"); presets ("gpt2@1", "torch" for PyTorch's own
            default), "author" for what the network's constructors do, "auto" for wellbegun's own choice.
        seeds: how many repetitions, at least 1; with 1 an interval knows only the chance of the test examples.
        network: one of the lab's networks; or your own function, or its name "module:function": it returns the network,
            and takes the task if it takes an argument. None: the plain one for the task.
        activations: one network is compared for each ("tanh", "relu", "gelu", ...).
        depth, width: hidden layers or blocks, and units or channels in each.
        options: further arguments of the network.
        rates: learning rates; empty for four that suit the optimizer.
        optimizer: "sgd" (momentum 0.9) or "adam"; the learning rate is constant.
        steps, batch: number of steps, and examples in each.
        target: validation score whose first step is reported; None: 90% of what the best method gains over guessing.
        quick: fewer steps and learning rates.
        executor: where trainings run: "here" (this process), "processes" or "processes:4", "dask", "dask://HOST:PORT",
            "module:function" or any concurrent.futures.Executor. None: processes where the work is worth it. The
            numbers are the same.
        out: folder for plans and results; the same call with the same folder goes on where it was interrupted.
        minutes: budget: no training is begun that would not end in time. What was left out is said.
        on_progress: told (steps done, steps in all, what is running).

    Raises:
        UnknownNameError: no such method, task, network or activation.
        ArgumentError: an empty list, a number below 1, a network that does not suit the task, a method that does not
            suit the network, or a folder that holds another comparison.
        OutputError: the folder cannot be written.
        KeyboardInterrupt: interrupted before anything could be compared.
    """
    from wellbegun.lab.session import Session, resolved
    from wellbegun.lab.usual import usual_settings

    own = network if callable(network) or (isinstance(network, str) and ":" in network) else None
    if minutes is not None and not minutes > 0:
        raise ArgumentError(f"minutes must be above 0, got {minutes}")
    asked: dict[str, Any] = {
        "methods": tuple(methods),
        "seeds": seeds,
        "rates": tuple(float(rate) for rate in rates),
        "steps": steps,
        "batch": batch,
        "target": target,
        "optimizer": optimizer,
        "options": tuple(sorted((options or {}).items())),
    }
    data = resolved(task)
    sizes = {"activations": activations, "depth": depth, "width": width}
    settings = usual_settings(data.task, network, own is not None, asked, sizes)
    settings = checked(settings.quick() if quick else settings, own=own is not None)
    session = Session(data, settings, own, out, on_progress or (lambda *_: None))
    return session.run(executor, minutes)
