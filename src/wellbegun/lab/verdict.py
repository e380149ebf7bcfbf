"""What happened and why, in sentences made from the measurements."""

from __future__ import annotations

from collections.abc import Sequence

from wellbegun.diagnosis.facts import Finding
from wellbegun.lab.result import Arm, NetworkResult

FAILED = 0.5
"""An arm failed if it reached less than this share of the best arm's accuracy."""


def explain(result: NetworkResult, *, chance: float) -> tuple[str, ...]:
    """Return a few sentences on one network: who won, who failed, and what was measured before the first step.

    Args:
        result: with everything but the sentences.
        chance: accuracy of guessing.
    """
    sentences = [_outcome(result)]
    failures = _failures(result, chance)
    sentences += [failures] if failures else []
    sentences.append(_why_winner(result))
    return tuple(sentences)


def _outcome(result: NetworkResult) -> str:
    best = result.arm(result.winner)
    text = f"{best.method} did best: {_accuracy(best)} of the test images"
    difference = result.auto_minus_best
    if difference is None or result.best_other is None:
        return text + "."
    other = result.arm(result.best_other)
    if result.winner == "auto":
        text += f"; the best other method is {other.method} with {other.accuracy.mean:.1%}"
    else:
        text += f"; auto reached {_accuracy(result.arm('auto'))}"
    low, high = 100 * difference.low, 100 * difference.high
    text += f" (auto - {other.method}: {100 * difference.mean:+.1f} points, 95% interval {low:+.1f} to {high:+.1f})"
    if low <= 0 <= high:
        text += ", a difference that chance explains"
    return text + "."


def _failures(result: NetworkResult, chance: float) -> str:
    """Group the arms that did not learn by what was wrong with them before training."""
    bar = max(FAILED * result.arm(result.winner).accuracy.mean, 1.5 * chance)
    groups: dict[str, list[tuple[Arm, Finding]]] = {}
    unexplained = []
    for arm in result.arms:
        if arm.accuracy.mean >= bar:
            continue
        cause = _cause(arm)
        if cause is None:
            unexplained.append(arm)
        else:
            groups.setdefault(cause.kind, []).append((arm, cause))
    parts = []
    for members in groups.values():
        arms = [arm for arm, _ in members]
        arm, cause = members[0]
        tail = "" if len(arms) == 1 else f" (here {arm.method})"
        extra = ""
        equal = next((a for a in arms if a.method == "equal"), None)
        if equal is not None and result.width_one is not None:
            extra = f"; the same network one unit wide reaches {result.width_one:.0%}"
        parts.append(f"{_people(arms)} did not learn, because {cause.message}{tail}{extra}")
    if unexplained:
        parts.append(f"{_people(unexplained)} did not learn, and step 0 does not show why")
    stopped = [arm.method for arm in result.arms if any("below" in run.stopped for run in arm.chosen_runs())]
    if stopped:
        parts.append(f"{_join(stopped)} was stopped early, since no usable gradient reached the first layer")
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "." if parts else ""


def _cause(arm: Arm) -> Finding | None:
    """The finding that explains a failure best: an error before a warning, the most basic cause first."""
    order = ("non-finite", "symmetric", "no gradient", "saturated", "vanishing", "exploding", "collapsed", "dead")
    serious = [finding for finding in arm.findings if finding.level != "note"]
    return min(serious, key=lambda f: (f.level != "error", order.index(f.kind)), default=None)


def _why_winner(result: NetworkResult) -> str:
    best = result.arm(result.winner)
    hidden = [layer for layer in best.layers if layer.activation]
    signals = [layer.signal for layer in hidden]
    text = f"Before the first step {best.method} keeps the signal's second moment between {min(signals):.2g} and "
    text += f"{max(signals):.2g} through all {len(hidden)} hidden layers"
    if hidden[-1].gradient > 0:
        text += f", brings {hidden[0].gradient / hidden[-1].gradient:.2g} times the last layer's gradient to the first"
    text += f", and leaves different inputs at a mean cosine of {hidden[-1].cosine:.2f}"
    rivals = [arm for arm in result.arms if arm is not best and arm.accuracy.mean >= 0.5 * best.accuracy.mean]
    if rivals:
        closest = max(rivals, key=lambda arm: arm.accuracy.mean)
        last = [layer for layer in closest.layers if layer.activation][-1]
        text += f" ({closest.method}: {last.cosine:.2f})"
    return text + "."


def _accuracy(arm: Arm) -> str:
    interval = arm.accuracy
    return f"{interval.mean:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def _people(arms: Sequence[Arm]) -> str:
    return _join([f"{arm.method} ({arm.accuracy.mean:.0%})" for arm in arms])


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
