"""What happened and why, in sentences made from the measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wellbegun.diagnosis.causes import CAUSES
from wellbegun.lab.result import Arm, NetworkResult

FAILED = 0.5
"""An arm failed if it reached less than this share of the best arm's accuracy."""

LAGGING = 0.95
"""An arm lags if it reached less than this share."""


def explain(result: NetworkResult, *, chance: float) -> tuple[str, ...]:
    """Return a few sentences on one network: who won, who failed, and what was measured before the first step.

    Args:
        result: with everything but the sentences.
        chance: accuracy of guessing.
    """
    sentences = [_outcome(result, chance), *_failures(result, chance)]
    if result.winner is not None:
        sentences.append(_why_winner(result, result.arm(result.winner)))
    return tuple(sentences)


def _outcome(result: NetworkResult, chance: float) -> str:
    if result.winner is None:
        best = max(result.arms, key=lambda arm: arm.accuracy.mean)
        return f"No method learnt: the best, {best.method}, reached {_accuracy(best)}, and guessing has {chance:.0%}."
    best = result.arm(result.winner)
    text = f"The best is {best.method} with {_accuracy(best)} of the test images"
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
    """One sentence for each cause that kept methods from learning, and one for those that lag behind."""
    best = max(arm.accuracy.mean for arm in result.arms)
    bar = max(FAILED * best, 1.5 * chance)
    groups: dict[str, list[Arm]] = {}
    for arm in result.arms:
        if arm.accuracy.mean < bar:
            groups.setdefault(_cause(arm), []).append(arm)
    sentences = [_PHRASES[cause](result, arms) + "." for cause, arms in groups.items()]
    lagging = [arm for arm in result.arms if bar <= arm.accuracy.mean < LAGGING * best and _cause(arm)]
    if lagging:
        causes = _join([f"{arm.method} ({arm.accuracy.mean:.0%}; {CAUSES[_cause(arm)]})" for arm in lagging])
        sentences.append(f"Far behind the best: {causes}.")
    stopped = [(arm.method, _stop_step(arm)) for arm in result.arms if _stop_step(arm) is not None]
    if stopped:
        names = _join([f"{method} (step {step})" for method, step in stopped])
        sentences.append(f"Stopped early, since by then no usable gradient reached the first layer: {names}.")
    return sentences


def _stop_step(arm: Arm) -> int | None:
    """The step at which a run at the chosen rate was given up for want of a gradient."""
    steps = [run.steps[-1] for run in arm.chosen_runs() if "below" in run.stopped]
    return max(steps, default=None)


def _cause(arm: Arm) -> str:
    """The kind of the finding that explains a failure best: errors before warnings, the most basic cause first."""
    serious = [finding for finding in arm.findings if finding.level != "note" and finding.kind in CAUSES]
    order = list(CAUSES)
    best = min(serious, key=lambda f: (f.level != "error", order.index(f.kind)), default=None)
    return best.kind if best else ""


def _symmetric(result: NetworkResult, arms: Sequence[Arm]) -> str:
    share = min(arm.hidden[0].twins for arm in arms)
    text = f"Symmetry stopped {_people(arms)}: {share:.0%} of the first layer's units compute the same number as "
    text += "another one, get the same gradient and stay copies"
    if result.width_one is not None and any(arm.method == "equal" for arm in arms):
        equal = result.arm("equal").accuracy.mean
        text += f"; so equal's {equal:.1%} is what one unit a layer learns ({result.width_one:.1%} when measured)"
    return text


def _saturated(result: NetworkResult, arms: Sequence[Arm]) -> str:
    shares = _each(arms, lambda arm: f"{max(layer.saturated for layer in arm.hidden):.0%}")
    return f"Saturation stopped {_people(arms)}: {shares} of the values lie where {result.activation} is flat"


def _vanishing(result: NetworkResult, arms: Sequence[Arm]) -> str:
    text = f"Vanishing stopped {_people(arms)}: on its way back {_over(result)} the gradient's second moment is "
    text += f"multiplied by {_each(arms, lambda arm: f'{_backward(arm):.0e}')}"
    forgetful = [arm.method for arm in arms if arm.hidden[-1].cosine > 0.999]
    if forgetful:
        text += f"; with {_join(forgetful)} all inputs look alike at the last layer (cosine above 0.999)"
    return text


def _exploding(result: NetworkResult, arms: Sequence[Arm]) -> str:
    def growth(arm: Arm) -> str:
        forward, backward = _forward(arm), _backward(arm)
        return f"{forward:.0e} (signal)" if forward >= backward else f"{backward:.0e} (gradient)"

    losses = _each(arms, lambda arm: f"{arm.loss:.2g}")
    return (
        f"Explosion stopped {_people(arms)}: {_over(result)} the second moment is multiplied by {_each(arms, growth)}; "
        f"the loss starts at {losses}"
    )


def _other(kind: str) -> Callable[[NetworkResult, Sequence[Arm]], str]:
    def phrase(_: NetworkResult, arms: Sequence[Arm]) -> str:
        message = next(finding.message for finding in arms[0].findings if finding.kind == kind)
        where = "" if len(arms) == 1 else f" (here {arms[0].method})"
        return f"{CAUSES[kind].capitalize()} stopped {_people(arms)}: {message}{where}"

    return phrase


_PHRASES: dict[str, Callable[[NetworkResult, Sequence[Arm]], str]] = {
    **{kind: _other(kind) for kind in CAUSES},
    "symmetric": _symmetric,
    "saturated": _saturated,
    "vanishing": _vanishing,
    "exploding": _exploding,
    "": lambda _, arms: f"Step 0 does not show what stopped {_people(arms)}",
}


def _why_winner(result: NetworkResult, best: Arm) -> str:
    """What was sound about the winner before the first step, and about nobody else worth naming."""
    hidden = best.hidden
    low, high = (f"{bound(layer.signal for layer in hidden):.2g}" for bound in (min, max))
    size = f"at {low}" if low == high else f"between {low} and {high}"
    text = f"Before the first step {best.method} has the signal's second moment {size} {_over(result)}"
    if hidden[-1].gradient > 0 and len(hidden) > 1:
        text += f"; the gradient's is multiplied by {_backward(best):.2g} on its way back"
    learnt = [arm for arm in result.arms if arm is not best and arm.accuracy.mean > FAILED * best.accuracy.mean]
    rivals = [arm for arm in learnt if arm.hidden[-1].cosine > max(hidden[-1].cosine, 0.9)]
    closest = max(rivals, key=lambda arm: arm.accuracy.mean, default=None)
    if closest is not None:
        text += f"; different inputs stay apart (mean cosine {abs(hidden[-1].cosine):.2f}, and {closest.method} has "
        text += f"{closest.hidden[-1].cosine:.2f})"
    return text + "."


def _forward(arm: Arm) -> float:
    """Factor on the signal's second moment from the first to the last hidden layer."""
    return arm.hidden[-1].signal / arm.hidden[0].signal if arm.hidden[0].signal else 0.0


def _backward(arm: Arm) -> float:
    """Factor on the gradient's second moment from the last to the first hidden layer."""
    return arm.hidden[0].gradient / arm.hidden[-1].gradient if arm.hidden[-1].gradient else 0.0


def _over(result: NetworkResult) -> str:
    return f"through {result.depth} hidden layers" if result.depth > 1 else "in its hidden layer"


def _each(arms: Sequence[Arm], describe: Callable[[Arm], str]) -> str:
    """The same measurement of several arms: named only where there are several."""
    if len(arms) == 1:
        return describe(arms[0])
    return _join([f"{describe(arm)} ({arm.method})" for arm in arms])


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
