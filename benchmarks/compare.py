"""Trainings a minute of wb.compare, end to end, against the plain loop that a user would write by hand.

Run: python benchmarks/compare.py [--seeds 2] [--turns 3] [--activations tanh relu]. Prints one line of JSON; no test
reads it. Both sides do the whole grid of methods, learning rates and seeds on the digits, 250 steps each, in turns. The
lab does it by one call, which starts its processes, plans, diagnoses, trains, scores a curve of 26 points for each
training and judges. The loop plans each method as cheaply as wellbegun can, trains with torch.optim.SGD, and scores
validation and test images once, at the end: what choosing a learning rate needs and no more. It has the number of
threads that is best for it, and gives a training up where the loss is not finite, which it looks at every 10 steps.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch

import wellbegun as wb
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.settings import METHODS, RATES
from wellbegun.lab.tasks import load_task
from wellbegun.lab.trials.order import batches

STEPS, BATCH, DEPTH, WIDTH, LOOK = 250, 64, 20, 64, 10
SOUND = ("auto", "orthogonal", "he")
"""Methods of which no training ends early, on either side."""


class Loop:
    """The grid by hand.

    Args:
        methods, activations, seeds: of the grid; learning rates are those of the lab.
        threads: that PyTorch may use.
    """

    def __init__(self, methods: tuple[str, ...], activations: tuple[str, ...], seeds: int, threads: int) -> None:
        self.methods, self.activations, self.seeds, self.threads = methods, activations, seeds, threads
        task = load_task("digits")
        self.rows, self.labels = torch.from_numpy(task.train.inputs), torch.from_numpy(task.train.targets)
        self.scored = [
            (torch.from_numpy(split.inputs), torch.from_numpy(split.targets)) for split in (task.validation, task.test)
        ]
        self.sizes = task.inputs, task.outputs
        self.best: dict[tuple[str, str], float] = {}

    def __call__(self) -> None:
        """Train everything."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        for activation in self.activations:
            model = PlainMLP(*self.sizes, depth=DEPTH, width=WIDTH, activation=activation)
            for method in self.methods:
                plan = wb.plan(model, self.rows, seed=0, recipe=method)
                for rate in RATES["sgd"]:
                    scores = [self.train(model, plan.with_seed(seed), rate, seed) for seed in range(self.seeds)]
                    self.best[activation, method] = max(self.best.get((activation, method), 0.0), min(scores))
        torch.set_num_threads(before)

    def train(self, model: PlainMLP, plan: wb.Plan, rate: float, seed: int, steps: int = STEPS) -> float:
        """One training; the lower of the two scores at its end."""
        wb.apply(plan, model, overwrite=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        for step, index in enumerate(batches(len(self.rows), BATCH, steps, seed)):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(self.rows[index]), self.labels[index])
            if step % LOOK == 0 and not math.isfinite(loss.item()):
                break
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            return min(float((model(x).argmax(1) == y).float().mean()) for x, y in self.scored)


def best_threads(activation: str) -> int:
    """The number of threads at which the loop is fastest, of 1 and all cores."""

    def taken(threads: int) -> float:
        loop = Loop(("auto",), (activation,), 1, threads)
        model = PlainMLP(*loop.sizes, depth=DEPTH, width=WIDTH, activation=activation)
        plan = wb.plan(model, loop.rows, seed=0)
        torch.set_num_threads(threads)
        return min(seconds(lambda: loop.train(model, plan, 0.005, 0, steps=50)) for _ in range(3))

    return min(sorted({1, os.cpu_count() or 1}), key=taken)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    return cost(work)[0]


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Wall time of a call, and the processors' time of this process and its children."""
    began, used = time.perf_counter(), _used()
    work()
    return time.perf_counter() - began, _used() - used


def _used() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--activations", nargs="+", default=["tanh", "relu"])
    parser.add_argument("--sound", action="store_true", help="only methods of which no training ends early")
    asked = parser.parse_args()
    methods = SOUND if asked.sound else METHODS
    activations = tuple(asked.activations)
    threads = best_threads(activations[0])
    loop = Loop(methods, activations, asked.seeds, threads)

    def lab() -> None:
        wb.compare("digits", methods, seeds=asked.seeds, activations=activations, executor="processes")

    turns, loads = [], []
    for turn in range(asked.turns):
        order = (lab, loop) if turn % 2 == 0 else (loop, lab)
        taken = {id(side): cost(side) for side in order}
        turns.append((taken[id(lab)], taken[id(loop)]))
        loads.append(round(os.getloadavg()[0], 1))
        print(turn, turns[-1], loads[-1], file=sys.stderr, flush=True)
    count = len(methods) * len(RATES["sgd"]) * asked.seeds * len(activations)
    result = {
        "ratio": round(statistics.median(slow[0] / fast[0] for fast, slow in turns), 2),
        "ratios": [round(slow[0] / fast[0], 2) for fast, slow in turns],
        "lab_seconds": [round(fast[0], 1) for fast, _ in turns],
        "loop_seconds": [round(slow[0], 1) for _, slow in turns],
        "lab_processor_seconds": [round(fast[1], 1) for fast, _ in turns],
        "loop_processor_seconds": [round(slow[1], 1) for _, slow in turns],
        "lab_trainings_a_minute": round(60 * count / statistics.median(fast[0] for fast, _ in turns)),
        "loop_trainings_a_minute": round(60 * count / statistics.median(slow[0] for _, slow in turns)),
        "what": f"{count} trainings of {STEPS} steps: {len(methods)} methods, {asked.seeds} seeds, {activations}",
        "loop_threads": threads,
        "load": loads,
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "machine": platform.processor() or platform.machine(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
