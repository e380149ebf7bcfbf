"""Is `auto` as good as the best of the others? At least 12 pairs of a task and a network, ten seeds of each.

Run: python benchmarks/auto_evidence.py FOLDER            train what is missing (half an hour on two cores)
     python benchmarks/auto_evidence.py FOLDER --pairs digits-tanh quadratic-relu --methods he xavier
     python benchmarks/auto_evidence.py FOLDER --write FILE       write FILE.md and FILE.json, train nothing

FOLDER holds one run's folder of the lab for each pair, so an interrupted call goes on where it was. A training of
`auto` is done again if its plan has changed since; those of the others are kept.

For each method the learning rate is chosen by mean validation score over the first seeds (`Pair.choosing`); then all
ten seeds are trained at that rate, and the scores come from test examples, which play no part in any choice.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import evidence_networks
import numpy as np
import torch

import wellbegun as wb
from wellbegun.lab.execution.folder import RunFolder
from wellbegun.lab.outcome.scale import Scale
from wellbegun.lab.outcome.subject import Subject
from wellbegun.lab.task import Split, Task
from wellbegun.lab.tasks import load_task
from wellbegun.lab.trials.bundle import Bundle, bundles_of, train_bundle, versions
from wellbegun.lab.trials.method import AUTHOR, AUTO, SAMPLE, plan_method, reseeded
from wellbegun.lab.trials.network import builder, copies_together
from wellbegun.lab.trials.trial import Trial
from wellbegun.lab.trials.trial_result import TrialResult
from wellbegun.plans import Plan

SEEDS = 10
OTHERS = ("torch", "he", "xavier", "orthogonal")
GATES_TOO = ("he", "xavier", "orthogonal")
"""Methods that name no gates: on an LSTM they are taken for every weight, as their users do, with biases of 0."""
SGD, ADAM = (0.001, 0.005, 0.02, 0.08), (0.0003, 0.001, 0.003, 0.01)
AUTO_VERSIONS = ("auto@0", "auto@1")
"""Under either name a plan with the same laws starts the same training."""


@dataclass(frozen=True)
class Pair:
    """A task and a network, and how it is trained.

    Attributes:
        name: of the pair.
        task, network: names in the lab; a network of `evidence_networks` has no sizes.
        depth, width, activation, options: of the lab's network.
        optimizer, rates, steps, batch, every: of training.
        choosing: seeds that choose the learning rate.
        linear: whether a linear model comes close on this task.
        long: whether it is trained until the validation score stands still.
        together: copies that one program trains where the network is not the lab's.
        parts: the first examples of train, validation and test that are used; None: all.
    """

    name: str
    task: str
    network: str
    depth: int | None = None
    width: int | None = None
    activation: str | None = None
    optimizer: str = "sgd"
    rates: tuple[float, ...] = SGD
    steps: int = 250
    batch: int = 64
    every: int = 25
    choosing: int = 2
    linear: bool = False
    long: bool = False
    together: int = 1
    options: tuple[tuple[str, Any], ...] = ()
    parts: tuple[int, int, int] | None = None

    @property
    def own(self) -> Callable[..., Any] | None:
        """The function that builds a network that the lab does not have."""
        return None if self.depth else getattr(evidence_networks, self.network)

    @property
    def methods(self) -> tuple[str, ...]:
        """What is compared; a network whose constructors leave PyTorch's default has no author of its own."""
        author = (AUTHOR,) if self.network in ("gpt", "vit", "siren") and self.own else ()
        return (*OTHERS, *author, AUTO)

    def trial(self, method: str, seed: int, rate: float) -> Trial:
        """One training."""
        same = (self.optimizer, self.depth, self.width, self.activation, self.options)
        return Trial(self.task, self.network, method, seed, rate, *same, self.steps, self.batch, self.every)


PAIRS = {
    pair.name: pair
    for pair in (
        Pair("digits-tanh", "digits", "mlp", 20, 64, "tanh", steps=1000, every=50, linear=True, long=True),
        Pair("digits-relu", "digits", "mlp", 20, 64, "relu", steps=1000, every=50, linear=True, long=True),
        Pair("digits-sigmoid", "digits", "mlp", 8, 64, "sigmoid", "adam", ADAM, 1500, 32, 75, linear=True, long=True),
        Pair("digits-cnn", "digits-images", "cnn", 8, 16, "relu", "adam", ADAM[1:], 900, 32, 75, linear=True,
             long=True),
        Pair("mnist5k-vit", "mnist5k", "vit", None, None, None, "adam", ADAM[1:], 150, 16, 75, linear=True),
        Pair("mnist5k-residual-norm", "mnist5k", "residual-norm", 3, 8, "relu", "adam", ADAM[1:], 600, 16, 60,
             linear=True, long=True, parts=(2000, 300, 1000)),
        Pair("quadratic-relu", "quadratic", "mlp", 10, 64, "relu", steps=1500, batch=32, every=75, long=True),
        Pair("quadratic-gelu-wide", "quadratic", "mlp", 10, 256, "gelu", "adam", ADAM[:3], 300, 32, 100),
        Pair("quadratic-tanh", "quadratic", "mlp", 10, 64, "tanh", steps=1000, batch=32, every=50, long=True),
        Pair("quadratic-sigmoid", "quadratic", "mlp", 6, 64, "sigmoid", "adam", ADAM, 600, 32),
        Pair("quadratic-unseen", "quadratic", "unseen", optimizer="adam", rates=ADAM, steps=600, batch=32,
             together=100),
        Pair("quadratic-residual", "quadratic", "residual", 16, 64, "relu", "adam", ADAM, 500, 32),
        Pair("cats-dogs-cnn", "cats-dogs", "cnn", 6, 16, "relu", "adam", ADAM[1:], 1200, 16, 100,
             options=(("strides", 3),), long=True),
        Pair("text-gpt", "text-small", "gpt", optimizer="adam", rates=ADAM[1:], steps=300, batch=8, every=300,
             parts=(1000, 150, 250)),
        Pair("text-lstm", "text-small", "lstm", 1, 64, "tanh", "adam", ADAM[1:], 500, 8, 250,
             parts=(2000, 200, 300)),
        Pair("image-siren", "image", "siren", optimizer="adam", rates=ADAM[:3], steps=1000, batch=128,
             every=100, together=100, long=True),
    )
}  # fmt: skip


class Evidence:
    """One pair while it is trained or read.

    Args:
        pair: what is compared.
        folder: where the folders of all pairs are.
    """

    def __init__(self, pair: Pair, folder: Path) -> None:
        self.pair, self.folder = pair, RunFolder(folder / pair.name)
        self.results: dict[str, TrialResult] = {}

    @cached_property
    def task(self) -> Task:
        """The data."""
        task = load_task(self.pair.task)
        if self.pair.parts is None:
            return task
        parts = zip((task.train, task.validation, task.test), self.pair.parts, strict=True)
        cut = [Split(part.inputs[:most], part.targets[:most]) for part, most in parts]
        return replace(task, train=cut[0], validation=cut[1], test=cut[2])

    @cached_property
    def scale(self) -> Scale:
        """What the scores are."""
        return Scale.of(self.task)

    @cached_property
    def auto_hashes(self) -> frozenset[str]:
        """Hashes that a plan of today's `auto` may go by."""
        plan = self._plan(AUTO)
        return frozenset(replace(plan, recipe=name).hash for name in AUTO_VERSIONS)

    def train(self, methods: Sequence[str]) -> None:
        """Train what is missing of some methods."""
        told = ("long", "linear")  # they change no training
        settings = {key: value for key, value in asdict(self.pair).items() if key not in told}
        content = {"task": Subject.of(self.task).record(), "settings": settings, "versions": versions()}
        self.results = self.folder.open(content)
        try:
            pair = self.pair
            chosen = [method for method in pair.methods if method in methods]
            self._train([pair.trial(m, seed, r) for seed in range(pair.choosing) for m in chosen for r in pair.rates])
            rates = {method: self.rate(method) for method in chosen}
            self._train([pair.trial(m, seed, rates[m]) for seed in range(pair.choosing, SEEDS) for m in chosen])
        finally:
            self.folder.close()

    def read(self) -> None:
        """Read the results that are there; nothing is trained."""
        self.results = self.folder.results()

    def rate(self, method: str) -> float:
        """The learning rate with the best mean validation score over the choosing seeds; of equals the smallest."""
        return max(self.pair.rates, key=lambda rate: self._validation(method, rate))

    def chosen(self, method: str) -> list[TrialResult] | None:
        """The results of a method at its learning rate, one a seed; None if they are not all there."""
        grid = [self.pair.trial(method, seed, rate) for seed in range(self.pair.choosing) for rate in self.pair.rates]
        if not all(self._is_there(trial) for trial in grid):
            return None
        trials = [self.pair.trial(method, seed, self.rate(method)) for seed in range(SEEDS)]
        found = [self.results[trial.key] for trial in trials if self._is_there(trial)]
        return found if len(found) == SEEDS else None

    def _validation(self, method: str, rate: float) -> float:
        seeds = range(self.pair.choosing)
        found = [self.results[self.pair.trial(method, seed, rate).key].validation_score for seed in seeds]
        return self.scale.goodness(float(np.mean(found)))

    def _is_there(self, trial: Trial) -> bool:
        found = self.results.get(trial.key)
        return found is not None and (trial.method != AUTO or found.plan_hash in self.auto_hashes)

    def _plan(self, method: str) -> Plan:
        build = builder(self.pair.trial(method, 0, 1.0), self.task, self.pair.own)
        if self.pair.network == "lstm" and method in GATES_TOO:
            sample = torch.from_numpy(self.task.train.inputs[:SAMPLE])
            return wb.plan(build, sample, seed=0, recipe="author", rules={"*weight*": method, "*bias*": "zeros"})
        return plan_method(method, build, self.task, 0)

    def _train(self, trials: Iterable[Trial]) -> None:
        missing = [trial for trial in trials if not self._is_there(trial)]
        plans = {method: self._plan(method) for method in dict.fromkeys(trial.method for trial in missing)}
        for seed in sorted({trial.seed for trial in missing}):
            mine = [trial for trial in missing if trial.seed == seed]
            build = builder(mine[0], self.task, self.pair.own)
            together = self.pair.together if self.pair.own else copies_together(mine[0], build())
            for trials_at_once in bundles_of(mine, together):
                own = {m: reseeded(plans[m], m, build, self.task, seed) for m in {t.method for t in trials_at_once}}
                found = train_bundle(Bundle(trials_at_once, own, self.task, self.pair.own))
                self.folder.add(found)
                self.results |= {one.trial.key: one for one in found}


def main() -> None:
    """Train what is missing, or write what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the results")
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS), metavar="PAIR")
    parser.add_argument("--methods", nargs="+", default=[*OTHERS, AUTHOR, AUTO], metavar="METHOD")
    parser.add_argument("--write", type=Path, help="write FILE.md and FILE.json of what is there")
    asked = parser.parse_args()
    if asked.write is not None:
        from evidence_table import write

        write([Evidence(PAIRS[name], asked.folder) for name in asked.pairs], asked.write)
        return
    for name in asked.pairs:
        began = time.perf_counter()
        Evidence(PAIRS[name], asked.folder).train(asked.methods)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
