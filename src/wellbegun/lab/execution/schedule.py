"""Carrying out bundles one after the other or many at a time, within a budget, until all are done or Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

from wellbegun.lab.execution.executors import width
from wellbegun.lab.trials.bundle import Bundle, train_bundle
from wellbegun.lab.trials.trial_result import TrialResult

OnBundle = Callable[[Bundle, list[TrialResult]], None]
OnStep = Callable[[Bundle, int], None]


class Clock:
    """Whether there is time for another bundle.

    Args:
        seconds: that the whole may take; None for any time.
    """

    def __init__(self, seconds: float | None) -> None:
        self._began, self._seconds, self._taken = time.perf_counter(), seconds, [0.0]

    def note(self, seconds: float) -> None:
        """Keep how long a bundle took."""
        self._taken.append(seconds)

    def has_time(self) -> bool:
        """Whether a bundle that takes as long as the mean of those so far would be done in time."""
        if self._seconds is None:
            return True
        mean = sum(self._taken) / max(1, len(self._taken) - 1)
        return time.perf_counter() - self._began + mean <= self._seconds


def carry_out(
    bundles: Sequence[Bundle] | Iterator[Bundle],
    executor: Executor | None,
    *,
    on_bundle: OnBundle,
    on_step: OnStep = lambda *_: None,
    seconds: float | None = None,
    least: int = 1,
) -> bool:
    """Train bundles in their order; say whether all were trained.

    No more bundles are handed out than the executor works on at a time, so the first ones in the order are done first
    and a budget cuts the last ones off.

    Args:
        bundles: made when they are needed.
        executor: where they are trained; None: in this process.
        on_bundle: told each bundle with its results, as soon as it is done.
        on_step: told steps of the bundle that this process trains; an executor tells nothing before a bundle is done.
        seconds: budget; what has begun is finished.
        least: bundles that are trained in any case.
    """
    clock = Clock(seconds)
    if executor is None:
        for place, bundle in enumerate(bundles):
            if place >= least and not clock.has_time():
                return False
            began = time.perf_counter()
            results = train_bundle(bundle, lambda count, bundle=bundle: on_step(bundle, count))  # type: ignore[misc]
            clock.note(time.perf_counter() - began)
            on_bundle(bundle, results)
        return True
    return _on(executor, iter(bundles), clock, on_bundle, least)


def _on(executor: Executor, bundles: Iterator[Bundle], clock: Clock, on_bundle: OnBundle, least: int) -> bool:
    running: dict[Future[list[TrialResult]], tuple[Bundle, float]] = {}
    at_a_time, complete, begun = width(executor), True, 0
    waiting = next(bundles, None)
    try:
        while running or waiting is not None:
            while waiting is not None and len(running) < at_a_time:
                if begun >= least and not clock.has_time():
                    waiting, complete = None, False
                    break
                running[executor.submit(train_bundle, waiting)] = waiting, time.perf_counter()
                waiting, begun = next(bundles, None), begun + 1
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                bundle, began = running.pop(future)
                results = future.result()
                clock.note(time.perf_counter() - began)
                on_bundle(bundle, results)
    except BaseException:
        for future in running:
            future.cancel()
        raise
    return complete
