"""The table of the evidence for `auto`: one row a pair, whether the bar holds, mean ranks; as Markdown and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wellbegun.lab.measure import measure_of
from wellbegun.lab.outcome.evidence import Shortfall, ranks, shortfall
from wellbegun.lab.trials.method import AUTHOR, AUTO, TORCH
from wellbegun.lab.trials.trial_result import TrialResult

if TYPE_CHECKING:
    from auto_evidence import Evidence

MARGINS = {"accuracy": 0.02, "nats a character": 0.03, "PSNR dB": 0.5}
"""How far behind the best `auto` may lie. The first two are the project's bar; half a decibel is 12% of the error."""

LATE = 0.25
"""Last part of the training in which a validation score that stands still may not gain a quarter of the margin."""


@dataclass(frozen=True)
class Row:
    """One pair, trained in full.

    Attributes:
        evidence: the pair and its data.
        chosen: of each method, the results at its learning rate.
        lacks: how far `auto` lies behind the best of the others.
        ranks: of each method by its mean test score; PyTorch's default stands for an author without an init of his own.
        gain: of the best arm's validation score in the last quarter of the training.
    """

    evidence: Evidence
    chosen: dict[str, list[TrialResult]]
    lacks: Shortfall
    ranks: dict[str, float]
    gain: float

    @property
    def margin(self) -> float:
        """How far behind the best `auto` may lie."""
        return MARGINS[self.evidence.scale.measure]

    @property
    def holds(self) -> bool:
        """Whether it is shown that `auto` does not lie further behind."""
        return self.lacks.within(self.margin)

    @property
    def converged(self) -> bool:
        """Whether the best arm's validation score stood still at the end."""
        return self.gain < self.margin / 4

    def mean(self, method: str) -> float:
        """Mean test score."""
        return float(np.mean([one.test_score for one in self.chosen[method]]))


def read(evidence: Sequence[Evidence]) -> list[Row]:
    """Return a row for each pair that is trained in full."""
    found = []
    for one in evidence:
        one.read()
        chosen = {method: results for method in one.pair.methods if (results := one.chosen(method)) is not None}
        if len(chosen) == len(one.pair.methods):
            found.append((one, chosen))
    return [_row(one, chosen, len(found)) for one, chosen in found]


def write(evidence: Sequence[Evidence], path: Path) -> None:
    """Write the table to `path`.md and everything behind it to `path`.json."""
    rows = read(evidence)
    path.with_suffix(".md").write_text(markdown(rows))
    path.with_suffix(".json").write_text(json.dumps(_record(rows), indent=1) + "\n")


def markdown(rows: Sequence[Row]) -> str:
    """Return the table and the mean ranks."""
    lines = [
        "# Is `auto` as good as the best of the others?",
        "",
        f"`python benchmarks/auto_evidence.py`, {len(rows)} pairs of a task and a network, ten seeds; what the columns",
        "mean and what the numbers do not show: [docs/auto.md](../../docs/auto.md). * no linear model solves the task,",
        "† the best arm's validation score stood still at the end, ↑ ↓ the largest or smallest rate that was tried.",
        "",
        "| task and network | best other | its score | auto | best − auto | bar | holds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        scale, ends = row.evidence.scale, row.lacks.interval
        told = [scale.difference(value) for value in (ends.mean, ends.low, ends.high)]
        notes = ("" if row.evidence.pair.linear else " \\*") + (" †" if row.converged else "")
        cells = [
            row.evidence.pair.name + notes,
            row.lacks.best,
            scale.text(row.mean(row.lacks.best)),
            scale.text(row.mean(AUTO)),
            f"{told[0]} ({told[1]} to {told[2]}) {scale.difference_unit}",
            f"{scale.difference(row.margin).removeprefix('+')}",
            "yes" if row.holds else "no",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    means = _mean_ranks(rows)
    lines += ["", "| | " + " | ".join(means) + " |", "|---" * (len(means) + 1) + "|"]
    lines += ["| mean rank | " + " | ".join(f"{value:.2f}" for value in means.values()) + " |"]
    lines += ["", "| learning rate chosen | " + " | ".join(_METHODS) + " |", "|---" * (len(_METHODS) + 1) + "|"]
    for row in rows:
        rates = [_rate(row, method) for method in _METHODS]
        lines.append(f"| {row.evidence.pair.name} | " + " | ".join(rates) + " |")
    lines += ["", "| score | " + " | ".join(_METHODS) + " |", "|---" * (len(_METHODS) + 1) + "|"]
    for row in rows:
        scores = [row.evidence.scale.text(row.mean(m)) if m in row.chosen else "–" for m in _METHODS]
        lines.append(f"| {row.evidence.pair.name} | " + " | ".join(scores) + " |")
    return "\n".join(lines) + "\n"


_METHODS = (AUTO, TORCH, "he", "xavier", "orthogonal", AUTHOR)


def _row(one: Evidence, chosen: dict[str, list[TrialResult]], pairs: int) -> Row:
    total = measure_of(one.task.kind).total
    lacks = shortfall(chosen, AUTO, one.scale, total, networks=pairs)
    means = {method: float(np.mean([result.test_score for result in group])) for method, group in chosen.items()}
    means.setdefault(AUTHOR, means[TORCH])
    best = max(chosen, key=lambda method: one.scale.goodness(means[method]))
    return Row(one, chosen, lacks, ranks(means, one.scale), _late_gain(chosen[best], one.scale.higher_is_better))


def _late_gain(results: Sequence[TrialResult], higher_is_better: bool) -> float:
    """Mean gain of the validation score from the start of the last part of the training to its end."""
    gains = []
    for one in results:
        early = (1 - LATE) * one.trial.steps
        before = [score for step, score in zip(one.steps, one.validation, strict=True) if step <= early][-1]
        gains.append((one.validation_score - before) * (1 if higher_is_better else -1))
    return float(np.mean(gains))


def _mean_ranks(rows: Sequence[Row]) -> dict[str, float]:
    means = {method: float(np.mean([row.ranks[method] for row in rows])) for method in _METHODS} if rows else {}
    return dict(sorted(means.items(), key=lambda item: item[1]))


def _rate(row: Row, method: str) -> str:
    """The chosen rate; ↑ or ↓ where it is the largest or smallest of those tried."""
    if method not in row.chosen:
        return "–"
    rate, tried = row.chosen[method][0].trial.learning_rate, row.evidence.pair.rates
    return f"{rate:g}" + {tried[0]: " ↓", tried[-1]: " ↑"}.get(rate, "")


def _record(rows: Sequence[Row]) -> dict[str, Any]:
    return {"mean_ranks": _mean_ranks(rows), "pairs": [_pair(row) for row in rows]}


def _pair(row: Row) -> dict[str, Any]:
    pair, ends = row.evidence.pair, row.lacks.interval
    settings = {key: value for key, value in vars(pair).items() if value is not None}
    methods = {
        method: {
            "learning_rate": group[0].trial.learning_rate,
            "mean": _finite(row.mean(method)),
            "test": [_finite(one.test_score) for one in group],
            "ended": [one.ended for one in group],
            "plan_hash": group[0].plan_hash,
        }
        for method, group in row.chosen.items()
    }
    gap = {"best": row.lacks.best, "mean": _finite(ends.mean), "low": _finite(ends.low), "high": _finite(ends.high)}
    told = {"margin": row.margin, "holds": row.holds, "late_gain": _finite(row.gain), "converged": row.converged}
    return {"settings": settings, "measure": row.evidence.scale.measure, "best_minus_auto": gap} | told | {
        "ranks": row.ranks, "methods": methods
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
