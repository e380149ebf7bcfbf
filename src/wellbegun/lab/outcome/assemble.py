"""From all results of a comparison to the comparison: what counts, what it comes to, what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wellbegun.errors import ArgumentError
from wellbegun.lab.outcome.balance import balanced, left_out
from wellbegun.lab.outcome.judge import judge
from wellbegun.lab.outcome.result import Comparison, NetworkResult
from wellbegun.lab.outcome.start import Start
from wellbegun.lab.outcome.subject import Subject
from wellbegun.lab.trials.trial_result import TrialResult

if TYPE_CHECKING:
    from wellbegun.lab.settings import NetworkSettings, Settings


def assemble(
    subject: Subject,
    settings: Settings,
    starts: Mapping[str, Mapping[str, Start]],
    results: Mapping[str, TrialResult],
    versions: Mapping[str, str],
    *,
    interrupted: bool = False,
    seconds: float | None = None,
) -> Comparison | None:
    """Return the comparison that the results make; None if no method can be compared with all others yet.

    Args:
        subject: what was learnt.
        settings: what was asked.
        starts: plan and step 0 by network and method.
        results: by key of the trial.
        versions: of the libraries.
        interrupted: whether the user stopped it.
        seconds: wall time; None: the sum of what the trainings took.
    """
    asked = finished = counted = 0
    networks: list[NetworkResult] = []
    everything = settings.networks()
    for network in everything:
        wanted = [one for seed in range(settings.seeds) for one in settings.trials(subject.name, network, seed)]
        have = [results[trial.key] for trial in wanted if trial.key in results]
        kept = balanced(
            [one for one in have if not one.trial.twin], settings.methods, range(settings.seeds), settings.rates
        )
        asked += sum(not trial.twin for trial in wanted)
        finished += sum(not one.trial.twin for one in have)
        counted += len(kept)
        if kept:
            networks.append(_judged(subject, settings, network, starts[network.slug], kept, have, len(everything)))
    if not networks:
        return None
    return Comparison(
        task=subject.name,
        description=subject.description,
        settings=settings.record(subject),
        networks=tuple(networks),
        interrupted=interrupted,
        seconds=sum(one.seconds for one in results.values()) if seconds is None else seconds,
        versions=dict(versions),
        left_out=left_out(asked, finished, counted),
    )


def _judged(
    subject: Subject,
    settings: Settings,
    network: NetworkSettings,
    starts: Mapping[str, Start],
    kept: Sequence[TrialResult],
    have: Sequence[TrialResult],
    networks: int,
) -> NetworkResult:
    by_method = {method: [one for one in kept if one.trial.method == method] for method in settings.methods}
    seeds = {one.trial.seed for one in kept}
    twins = [one for one in have if one.trial.twin and one.trial.seed in seeds]
    return judge(
        network, subject.kind, subject.scale, starts, by_method, twins, target=settings.target, networks=networks
    )


def from_folder(path: str | Path) -> Comparison:
    """Return the comparison that a run's folder holds; nothing is trained.

    Raises:
        ArgumentError: it is no run's folder, or nothing in it can be compared yet.
    """
    from wellbegun.lab.execution.folder import RunFolder
    from wellbegun.lab.settings import Settings

    folder = RunFolder(path)
    content = folder.content()
    found = assemble(
        Subject.from_record(content["task"]),
        Settings.from_plain(content["settings"]),
        folder.starts(),
        folder.results(),
        content["versions"],
    )
    if found is None:
        raise ArgumentError(f"{str(path)!r} holds nothing that can be compared yet: repeat the command that made it")
    return found
