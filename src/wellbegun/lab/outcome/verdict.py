"""What happened and why, in sentences made from the measurements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from wellbegun.diagnosis.causes import CAUSES
from wellbegun.lab.outcome.result import BETTER, NO_DIFFERENCE, WORSE, Arm, Difference, NetworkResult
from wellbegun.lab.trials.trial_result import DIVERGED, VANISHED

FAILED = 0.5
"""An arm failed if it reached less than this share of the best arm's score (see `Scale.reaches`)."""

LAGGING = 0.95
"""An arm lags if it reached less than this share."""


def explain(result: NetworkResult) -> tuple[str, ...]:
    """Return a few sentences on one network: who won, who failed, and what was measured before the first step.

    Args:
        result: with everything but the sentences.
    """
    sentences = [_outcome(result)]
    if result.winner is not None:
        sentences += [*_ties(result, result.winner), *_against(result, result.default, "the framework's default")]
        sentences += _against(result, "auto", "wellbegun's own choice")
    sentences += _failures(result)
    if result.winner is not None:
        sentences += [*_edges(result), *_why_winner(result, result.arm(result.winner))]
    return tuple(sentences)


def _outcome(result: NetworkResult) -> str:
    scale = result.scale
    if result.winner is None:
        best = result.ranked()[0]
        chance = "" if scale.chance is None else f", and guessing has {_guessing(result)}"
        return f"No method learnt: the best, {best.method}, reached {_score(result, best)}{chance}."
    best = result.arm(result.winner)
    text = f"The best is {best.method} with {_score(result, best)}" + (" of the test images" if scale.is_share else "")
    difference = result.auto_minus_best
    if difference is None or result.best_other is None:
        return text + "."
    other = result.arm(result.best_other)
    if result.winner == "auto":
        text += f"; the best other method is {other.method} with {scale.text(other.score.mean)}"
    else:
        text += f"; auto reached {_score(result, result.arm('auto'))}"
    low, high = scale.difference(difference.low), scale.difference(difference.high)
    text += f" (auto - {other.method}: {scale.difference(difference.mean)} {scale.difference_unit}, 95% interval "
    text += f"{low} to {high})"
    if difference.low <= 0 <= difference.high:
        text += ", which may be chance"
    return text + "."


def _ties(result: NetworkResult, winner: str) -> list[str]:
    """Who cannot be told from the best; nothing where everybody can."""
    found = {arm.method: arm.difference(winner) for arm in result.arms if arm.method != winner}
    level = {method: d for method, d in found.items() if d is not None and d.verdict == NO_DIFFERENCE}
    if not level:
        return []
    same = [method for method, difference in level.items() if difference.same_plan]
    text = f"No difference between {winner} and {_join(list(level))} can be told from chance{_corrected(result, level)}"
    if same:
        text += f"; {_join(same)} {'is' if len(same) == 1 else 'are'} the same plan under another name"
    return [text + "."]


def _against(result: NetworkResult, reference: str | None, called: str) -> list[str]:
    """Who is better, worse or neither than one method, unless that is the winner, of which everything is said."""
    if reference is None or reference == result.winner or all(arm.method != reference for arm in result.arms):
        return []
    found = {arm.method: arm.difference(reference) for arm in result.arms}
    known = {method: difference for method, difference in found.items() if difference is not None}
    groups = [(verdict, [m for m, d in known.items() if d.verdict == verdict]) for verdict in (BETTER, WORSE)]
    level = [method for method, difference in known.items() if difference.verdict == NO_DIFFERENCE]
    parts = [f"{_join(names)} {'is' if len(names) == 1 else 'are'} {verdict}" for verdict, names in groups if names]
    if level:
        parts.append(f"no difference for {_join(level)}")
    if not parts:
        return []
    return [f"Against {reference}, {called}: {'; '.join(parts)}{_corrected(result, known)}."]


def _corrected(result: NetworkResult, found: Mapping[str, Difference]) -> str:
    """How careful the intervals are, in brackets."""
    pairs = next(iter(found.values())).pairs
    seeds = len({run.seed for run in result.arms[0].runs})
    told = f" (paired, intervals corrected for {pairs} pairs" if pairs > 1 else " (paired"
    return told + (", one seed: the chance of the seeds is not in it)" if seeds == 1 else ")")


def _edges(result: NetworkResult) -> list[str]:
    """Which learning methods chose a rate at the edge of the grid."""
    learnt = [arm for arm in result.arms if arm.edge and result.scale.reaches(arm.score.mean, FAILED, _best(result))]
    if not learnt:
        return []
    names = _join([f"{arm.method} ({arm.edge})" for arm in learnt])
    return [f"The chosen learning rate is at the edge of those tried, and a better one may lie beyond it: {names}."]


def _failures(result: NetworkResult) -> list[str]:
    """One sentence for each cause that kept methods from learning, and one for those that lag behind."""
    best, scale = _best(result), result.scale
    groups: dict[str, list[Arm]] = {}
    for arm in result.arms:
        if not scale.reaches(arm.score.mean, FAILED, best):
            groups.setdefault(_cause(arm), []).append(arm)
    sentences = [_PHRASES[cause](result, arms) + "." for cause, arms in groups.items()]
    behind = [
        arm
        for arm in result.arms
        if scale.reaches(arm.score.mean, FAILED, best) and not scale.reaches(arm.score.mean, LAGGING, best)
    ]
    lagging = [arm for arm in behind if _cause(arm)]
    if lagging:
        causes = _join([f"{arm.method} ({_short(result, arm)}; {CAUSES[_cause(arm)]})" for arm in lagging])
        sentences.append(f"Far behind the best: {causes}.")
    stopped = [(arm.method, _stop_step(arm)) for arm in result.arms if _stop_step(arm) is not None]
    if stopped:
        names = _join([f"{method} (step {step})" for method, step in stopped])
        sentences.append(f"Stopped early, since by then no usable gradient reached the first layer: {names}.")
    return sentences


def _stop_step(arm: Arm) -> int | None:
    """The step at which a run at the chosen rate was given up for want of a gradient."""
    steps = [run.steps[-1] for run in arm.chosen_runs() if run.ended == VANISHED]
    return max(steps, default=None)


def _cause(arm: Arm) -> str:
    """The kind of the finding that explains a failure best: errors before warnings, the most basic cause first."""
    serious = [finding for finding in arm.findings if finding.level != "note" and finding.kind in CAUSES]
    order = list(CAUSES)
    best = min(serious, key=lambda f: (f.level != "error", order.index(f.kind)), default=None)
    return best.kind if best else ""


def _symmetric(result: NetworkResult, arms: Sequence[Arm]) -> str:
    share = min(arm.hidden[0].twins for arm in arms)
    text = (
        f"Symmetry stopped {_people(result, arms)}: {share:.0%} of the first layer's units compute the same number as "
    )
    text += "another one, get the same gradient and stay copies"
    if result.width_one is not None and any(arm.method == "equal" for arm in arms):
        equal = result.arm("equal").score.mean
        text += f"; so equal's {result.scale.text(equal)} is what one unit a layer learns "
        text += f"({result.scale.text(result.width_one)} when measured)"
    return text


def _saturated(result: NetworkResult, arms: Sequence[Arm]) -> str:
    shares = _each(arms, lambda arm: f"{max(layer.saturated for layer in arm.hidden):.0%}")
    return f"Saturation stopped {_people(result, arms)}: {shares} of the values lie where {result.activation} is flat"


def _vanishing(result: NetworkResult, arms: Sequence[Arm]) -> str:
    text = (
        f"Vanishing stopped {_people(result, arms)}: on its way back {_over(result)} the gradient's second moment is "
    )
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
    text = f"Explosion stopped {_people(result, arms)}: {_over(result)} the second moment is multiplied by "
    return text + f"{_each(arms, growth)}; the loss starts at {losses}"


def _other(kind: str) -> Callable[[NetworkResult, Sequence[Arm]], str]:
    def phrase(result: NetworkResult, arms: Sequence[Arm]) -> str:
        message = next(finding.message for finding in arms[0].findings if finding.kind == kind)
        where = "" if len(arms) == 1 else f" (here {arms[0].method})"
        return f"{CAUSES[kind].capitalize()} stopped {_people(result, arms)}: {message}{where}"

    return phrase


_PHRASES: dict[str, Callable[[NetworkResult, Sequence[Arm]], str]] = {
    **{kind: _other(kind) for kind in CAUSES},
    "symmetric": _symmetric,
    "saturated": _saturated,
    "vanishing": _vanishing,
    "exploding": _exploding,
    "": lambda result, arms: f"Step 0 does not show what stopped {_people(result, arms)}",
}


def _why_winner(result: NetworkResult, best: Arm) -> list[str]:
    """What was sound about the winner before the first step, and about nobody else worth naming."""
    hidden = best.hidden
    if not hidden:
        return []
    low, high = (f"{bound(layer.signal for layer in hidden):.2g}" for bound in (min, max))
    size = f"at {low}" if low == high else f"between {low} and {high}"
    text = f"Before the first step {best.method} has the signal's second moment {size} {_over(result)}"
    if hidden[-1].gradient > 0 and len(hidden) > 1:
        text += f"; the gradient's is multiplied by {_backward(best):.2g} on its way back"
    best_score = best.score.mean
    learnt = [
        arm for arm in result.ranked() if arm is not best and result.scale.reaches(arm.score.mean, FAILED, best_score)
    ]
    rivals = [arm for arm in learnt if arm.hidden[-1].cosine > max(hidden[-1].cosine, 0.9)]
    closest = rivals[0] if rivals else None
    if closest is not None:
        text += f"; different inputs stay apart (mean cosine {abs(hidden[-1].cosine):.2f}, and {closest.method} has "
        text += f"{closest.hidden[-1].cosine:.2f})"
    return [text + "."]


def _forward(arm: Arm) -> float:
    """Factor on the signal's second moment from the first to the last hidden layer."""
    return arm.hidden[-1].signal / arm.hidden[0].signal if arm.hidden[0].signal else 0.0


def _backward(arm: Arm) -> float:
    """Factor on the gradient's second moment from the last to the first hidden layer."""
    return arm.hidden[0].gradient / arm.hidden[-1].gradient if arm.hidden[-1].gradient else 0.0


def _over(result: NetworkResult) -> str:
    layers = len(result.arms[0].hidden)
    return f"through {layers} hidden layers" if layers > 1 else "in its hidden layer"


def _each(arms: Sequence[Arm], describe: Callable[[Arm], str]) -> str:
    """The same measurement of several arms: named only where there are several."""
    if len(arms) == 1:
        return describe(arms[0])
    return _join([f"{describe(arm)} ({arm.method})" for arm in arms])


def _best(result: NetworkResult) -> float:
    return result.ranked()[0].score.mean


def _guessing(result: NetworkResult) -> str:
    chance = result.scale.chance or 0.0
    return f"{chance:.0%}" if result.scale.is_share else result.scale.text(chance)


def _score(result: NetworkResult, arm: Arm) -> str:
    interval, text = arm.score, result.scale.text
    bounds = f" ({text(interval.low)} to {text(interval.high)})" if result.scale.bounds(interval) else ""
    return text(interval.mean) + bounds


def _short(result: NetworkResult, arm: Arm) -> str:
    return f"{arm.score.mean:.0%}" if result.scale.is_share else result.scale.text(arm.score.mean)


def _people(result: NetworkResult, arms: Sequence[Arm]) -> str:
    def score(arm: Arm) -> str:
        diverged = all(run.ended == DIVERGED for run in arm.chosen_runs())
        return "diverged" if diverged else _short(result, arm)

    return _join([f"{arm.method} ({score(arm)})" for arm in arms])


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
