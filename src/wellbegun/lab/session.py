"""One comparison while it runs: from settings to bundles, from results to the comparison."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from wellbegun.errors import ArgumentError
from wellbegun.lab.execution.executors import chosen, opened, start_workers
from wellbegun.lab.execution.folder import RunFolder
from wellbegun.lab.execution.schedule import carry_out
from wellbegun.lab.outcome.assemble import assemble
from wellbegun.lab.outcome.result import Comparison
from wellbegun.lab.outcome.start import Start
from wellbegun.lab.outcome.subject import Subject
from wellbegun.lab.settings import NetworkSettings, Settings
from wellbegun.lab.task import Task
from wellbegun.lab.tasks import TASKS, load_task
from wellbegun.lab.trials.bundle import Bundle, bundles_of, versions
from wellbegun.lab.trials.method import plan_method, reseeded
from wellbegun.lab.trials.network import builder, copies_together
from wellbegun.lab.trials.trial import Trial
from wellbegun.lab.trials.trial_result import TrialResult

Progress = Callable[[int, int, str], None]
Own = Callable[..., Any] | str | None


@dataclass(frozen=True)
class Data:
    """The data of a comparison, and how a worker gets at them.

    Attributes:
        task: the data.
        sent: the name that a worker loads them by, or the task itself.
    """

    task: Task
    sent: Task | str


def resolved(task: str | Task | Callable[[], Task]) -> Data:
    """Return the data that the user names.

    Raises:
        UnknownNameError: no such task.
        ArgumentError: the function returns no Task.
    """
    if isinstance(task, str) and task in TASKS:
        return Data(load_task(task), task)
    # a folder of pictures may not be where a worker runs, and the user's function may draw other data there
    made = load_task(task) if isinstance(task, str) else task if isinstance(task, Task) else task()
    if not isinstance(made, Task):
        raise ArgumentError(f"a task must be a name, a Task or a function that returns one, got {type(made).__name__}")
    return Data(made, made)


class Session:
    """One comparison while it runs.

    Args:
        data: what is learnt.
        settings: what is asked, checked.
        own: the user's network, None for one of the lab's.
        out: folder for plans and results, None for none.
        on_progress: told (steps done, steps in all, what is running).
    """

    def __init__(self, data: Data, settings: Settings, own: Own, out: str | Path | None, on_progress: Progress) -> None:
        self.data, self.settings, self.own, self.on_progress = data, settings, own, on_progress
        self.subject = Subject.of(data.task)
        self.folder = None if out is None else RunFolder(out)
        self.networks = settings.networks()
        self.trials = {
            (network, seed): settings.trials(self.subject.name, network, seed)
            for seed in range(settings.seeds)
            for network in self.networks
        }
        self.models = {network: self._build(self.trials[network, 0][0])() for network in self.networks}
        self.starts: dict[str, dict[str, Start]] = {}
        self.results: dict[str, TrialResult] = {}
        self.stepwise = True
        self.done = 0
        self.total = settings.steps * sum(len(trials) for trials in self.trials.values())

    def run(self, executor: str | Executor | None, minutes: float | None) -> Comparison:
        """Train what is missing and return what all results come to.

        Args:
            executor: where trainings run, None for the usual place.
            minutes: budget, None for none.
        """
        began, interrupted = time.perf_counter(), False
        if self.folder is not None:
            content = {"task": self.subject.record(), "settings": self.settings.plain(), "versions": versions()}
            self.results = self.folder.open(content)
        try:
            missing = self._missing()
            with opened(self._place(executor, missing)) if missing else nullcontext() as workers:
                start_workers(workers, len(missing))  # which takes them seconds, while this process prepares
                self._prepare()
                left = None if minutes is None else 60 * minutes - (time.perf_counter() - began)
                self._train(missing, workers, left)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            if self.folder is not None:
                self.folder.close()
        seconds = time.perf_counter() - began if self.folder is None else None
        found = assemble(
            self.subject,
            self.settings,
            self.starts,
            self.results,
            versions(),
            interrupted=interrupted,
            seconds=seconds,
        )
        if found is None and interrupted:
            raise KeyboardInterrupt
        if found is None:
            raise ArgumentError(
                f"in {minutes:g} minutes no learning rate was finished for all {len(self.settings.methods)} methods: "
                "allow more minutes, name fewer methods or steps, or take a smaller network"
            )
        return found

    def _prepare(self) -> None:
        """Plan each method on each network and measure its step 0, unless the folder has that already."""
        if self.folder is not None:
            self.starts = self.folder.starts()
        if self.starts:
            return
        for network in self.networks:
            build = self._build(self.trials[network, 0][0])
            self.starts[network.slug] = {
                method: Start.measured(plan_method(method, build, self.data.task, 0), build, self.data.task)
                for method in self.settings.methods
            }
        if self.folder is not None:
            self.folder.keep_starts(self.starts)

    def _missing(self) -> list[tuple[Trial, ...]]:
        """The bundles that hold a trial without a result, in the order in which they are trained."""
        parts = [(self._size(key[0], trials), trials) for key, trials in self.trials.items()]
        cut = [bundle for size, trials in parts for bundle in self._cut(trials, size)]
        return [bundle for bundle in cut if any(trial.key not in self.results for trial in bundle)]

    def _place(self, executor: str | Executor | None, missing: list[tuple[Trial, ...]]) -> str | Executor:
        """Where they are trained: what the user asks for, or what suits the work."""
        work = sum(
            sum(p.numel() for p in self.models[network].parameters()) * len(self.trials[network, seed])
            for network, seed in self.trials
        )
        return chosen(executor, float(work * self.settings.steps), len(missing), self.own)

    def _train(self, missing: list[tuple[Trial, ...]], executor: Executor | None, seconds: float | None) -> None:
        self.done = self.total - self.settings.steps * sum(len(bundle) for bundle in missing)
        if not missing:
            return
        self.stepwise = executor is None
        carry_out(
            self._bundles(missing),
            executor,
            on_bundle=self._keep,
            on_step=self._progress,
            seconds=seconds,
            least=-(-len(self.settings.methods) // len(missing[0])),  # the first learning rate of every method
        )

    def _cut(self, trials: list[Trial], size: int) -> Iterator[tuple[Trial, ...]]:
        """The equal arm's twin is another network, so it trains apart."""
        for twin in (False, True):
            yield from bundles_of([trial for trial in trials if trial.twin is twin], size)

    def _size(self, network: NetworkSettings, trials: list[Trial]) -> int:
        return copies_together(trials[0], self.models[network])

    def _bundles(self, missing: list[tuple[Trial, ...]]) -> Iterator[Bundle]:
        """Make each bundle when it is its turn: plans of other seeds may cost a forward pass."""
        by_label = {(n.name, n.activation, n.depth, n.width): n for n in self.networks}
        for trials in missing:
            first = trials[0]
            network = by_label[first.network, first.activation, first.depth, first.width]
            build = self._build(first)
            plans = {}
            for method in dict.fromkeys(trial.method for trial in trials):
                if first.twin:
                    plans[method] = plan_method(method, build, self.data.task, first.seed)
                else:
                    start = self.starts[network.slug][method].plan
                    plans[method] = reseeded(start, method, build, self.data.task, first.seed)
            yield Bundle(trials, plans, self.data.sent, self.own)

    def _keep(self, bundle: Bundle, results: list[TrialResult]) -> None:
        new = [result for result in results if result.trial.key not in self.results]
        if self.folder is not None:
            self.folder.add(new)
        self.results |= {result.trial.key: result for result in new}
        if not self.stepwise:
            self._progress(bundle, self.settings.steps)

    def _progress(self, bundle: Bundle, count: int) -> None:
        first = bundle.trials[0]
        self.done += count * len(bundle.trials)
        label = first.activation or first.network
        self.on_progress(self.done, self.total, f"{label}, seed {first.seed + 1} of {self.settings.seeds}")

    def _build(self, trial: Trial) -> Callable[[], torch.nn.Module]:
        return builder(trial, self.data.task, self.own)
