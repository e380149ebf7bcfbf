"""Only what every method has counts: the largest set of seeds and learning rates that all methods were trained with."""

from __future__ import annotations

from collections.abc import Sequence

from wellbegun.lab.trials.trial_result import TrialResult


def balanced(
    results: Sequence[TrialResult], methods: Sequence[str], seeds: Sequence[int], rates: Sequence[float]
) -> list[TrialResult]:
    """Return the results of the seeds that are complete; without any, of the rates that are complete for one seed.

    Args:
        results: of one network.
        methods: all that are compared.
        seeds, rates: all that were asked for.
    """
    have = {(one.trial.method, one.trial.seed, one.trial.learning_rate) for one in results}

    def complete(seed: int, rate: float) -> bool:
        return all((method, seed, rate) in have for method in methods)

    kept = {(seed, rate) for seed in seeds if all(complete(seed, rate) for rate in rates) for rate in rates}
    if not kept:
        by_seed = [[(seed, rate) for rate in rates if complete(seed, rate)] for seed in seeds]
        best: list[tuple[int, float]] = max(by_seed, key=len) if by_seed else []
        kept = set(best)
    return [one for one in results if (one.trial.seed, one.trial.learning_rate) in kept]


def left_out(asked: int, finished: int, counted: int) -> str:
    """Say what a comparison that was cut short does not rest on; "" if it rests on everything.

    >>> left_out(400, 320, 300)
    '80 of 400 trainings were not run; 20 that were run do not count, because not every method had the same ones'

    Args:
        asked: number of trainings.
        finished: of them, that were run.
        counted: of these, that count.
    """
    parts = []
    if finished < asked:
        parts.append(f"{asked - finished:,} of {asked:,} trainings were not run")
    if counted < finished:
        parts.append(f"{finished - counted:,} that were run do not count, because not every method had the same ones")
    return "; ".join(parts)
