"""What happened and why, in sentences made from the measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    sentences += _failures(result, chance)
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
        text += ", which may be chance"
    return text + "."


def _failures(result: NetworkResult, chance: float) -> list[str]:
    """Group the arms that did not learn by what was wrong with them before training."""
    bar = max(FAILED * result.arm(result.winner).accuracy.mean, 1.5 * chance)
    groups: dict[str, list[Arm]] = {}
    for arm in result.arms:
        if arm.accuracy.mean < bar:
            groups.setdefault(_cause(arm), []).append(arm)
    parts = [_PHRASES[cause](result, arms) for cause, arms in groups.items()]
    stopped = [arm.method for arm in result.arms if any("below" in run.stopped for run in arm.chosen_runs())]
    if stopped:
        verb = "was" if len(stopped) == 1 else "were"
        parts.append(f"{_join(stopped)} {verb} stopped early: no usable gradient reached the first layer")
    return [part[0].upper() + part[1:] + "." for part in parts]


def _cause(arm: Arm) -> str:
    """The kind of the finding that explains a failure best: errors before warnings, the most basic cause first."""
    serious = [finding for finding in arm.findings if finding.level != "note" and finding.kind in _BASIC]
    best = min(serious, key=lambda f: (f.level != "error", _BASIC.index(f.kind)), default=None)
    return best.kind if best else ""


def _symmetric(result: NetworkResult, arms: Sequence[Arm]) -> str:
    share = min(arm.hidden[0].twins for arm in arms)
    text = f"{_people(arms)} failed by symmetry: {share:.0%} of the first layer's units compute the same number as "
    text += "another one, get the same gradient and stay copies"
    if result.width_one is not None and any(arm.method == "equal" for arm in arms):
        equal = result.arm("equal").accuracy.mean
        text += f"; so equal's {equal:.1%} is what one unit a layer learns ({result.width_one:.1%} when measured)"
    return text


def _saturated(result: NetworkResult, arms: Sequence[Arm]) -> str:
    shares = _each(arms, lambda arm: f"{max(layer.saturated for layer in arm.hidden):.0%}")
    return f"{_people(arms)} failed by saturation: {shares} of the values lie where {result.activation} is flat"


def _vanishing(result: NetworkResult, arms: Sequence[Arm]) -> str:
    def share(arm: Arm) -> str:
        first, last = arm.hidden[0], arm.hidden[-1]
        return f"{first.gradient / last.gradient:.0e}" if last.gradient else "0"

    text = f"{_people(arms)} failed by vanishing: on its way back through {result.depth} layers the gradient's second "
    text += f"moment is multiplied by {_each(arms, share)}"
    forgetful = [arm.method for arm in arms if arm.hidden[-1].cosine > 0.999]
    if forgetful:
        text += f"; with {_join(forgetful)} all inputs look alike at the last layer (cosine above 0.999)"
    return text


def _exploding(result: NetworkResult, arms: Sequence[Arm]) -> str:
    factors = _each(arms, lambda arm: f"{arm.hidden[-1].signal / (arm.hidden[0].signal or 1.0):.0e}")
    losses = _each(arms, lambda arm: f"{arm.loss:.2g}")
    return (
        f"{_people(arms)} failed by explosion: over {result.depth} layers the signal's second moment is multiplied by "
        f"{factors}, and the loss starts at {losses}"
    )


def _other(kind: str) -> Callable[[NetworkResult, Sequence[Arm]], str]:
    def phrase(_: NetworkResult, arms: Sequence[Arm]) -> str:
        message = next(finding.message for finding in arms[0].findings if finding.kind == kind)
        return f"{_people(arms)} failed: {message}" + ("" if len(arms) == 1 else f" (here {arms[0].method})")

    return phrase


_BASIC = ("non-finite", "symmetric", "no gradient", "saturated", "vanishing", "exploding", "collapsed", "dead")
_PHRASES: dict[str, Callable[[NetworkResult, Sequence[Arm]], str]] = {
    **{kind: _other(kind) for kind in _BASIC},
    "symmetric": _symmetric,
    "saturated": _saturated,
    "vanishing": _vanishing,
    "exploding": _exploding,
    "": lambda _, arms: f"{_people(arms)} failed, and step 0 does not show why",
}


def _each(arms: Sequence[Arm], describe: Callable[[Arm], str]) -> str:
    """The same measurement of several arms: named only where there are several."""
    if len(arms) == 1:
        return describe(arms[0])
    return _join([f"{describe(arm)} ({arm.method})" for arm in arms])


def _why_winner(result: NetworkResult) -> str:
    best = result.arm(result.winner)
    hidden = best.hidden
    signals = [layer.signal for layer in hidden]
    low, high = f"{min(signals):.2g}", f"{max(signals):.2g}"
    size = f"at {low}" if low == high else f"between {low} and {high}"
    text = f"Before the first step {best.method} keeps the signal's second moment {size} through all {len(hidden)} "
    text += "hidden layers"
    if hidden[-1].gradient > 0:
        ratio = hidden[0].gradient / hidden[-1].gradient
        text += f", the first layer gets {ratio:.2g} times the gradient of the last"
    text += f", and different inputs arrive at a mean cosine of {hidden[-1].cosine:.2f}"
    rivals = [arm for arm in result.arms if arm is not best and arm.accuracy.mean >= 0.5 * best.accuracy.mean]
    if rivals:
        closest = max(rivals, key=lambda arm: arm.accuracy.mean)
        text += f" ({closest.method}: {closest.hidden[-1].cosine:.2f})"
    return text + "."


def _accuracy(arm: Arm) -> str:
    interval = arm.accuracy
    return f"{interval.mean:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def _people(arms: Sequence[Arm]) -> str:
    def score(arm: Arm) -> str:
        diverged = all("infinite" in run.stopped for run in arm.chosen_runs())
        return "diverged" if diverged else f"{arm.accuracy.mean:.0%}"

    return _join([f"{arm.method} ({score(arm)})" for arm in arms])


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
