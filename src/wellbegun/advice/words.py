"""Reasons in sentences: why a method suits the model, what speaks against it, what it needs."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

from wellbegun.advice.advice import Choice, Refusal
from wellbegun.advice.attempt import Attempt
from wellbegun.advice.isometry import grade
from wellbegun.advice.method import Refused, Tried
from wellbegun.laws import TRAITS
from wellbegun.plans import multiplier_lines

_REACHED = ("97%", "93 to 95%", "70%", "10%, chance,")
"""Median of the best accuracies in the pilot, by grade."""


def choice_of(tried: Tried, traits: Mapping[str, str]) -> Choice:
    """Return a method as the user is told of it."""
    attempt = tried.attempt
    return Choice(
        name=tried.card.name,
        recipe=attempt.recipe,
        code=tried.code,
        reasons=tuple(_reasons(tried, traits)),
        against=tuple(_against(tried)),
        needs=tuple(_needs(tried)),
        errors=tuple(finding.kind for finding in attempt.errors),
        warnings=tuple(finding.kind for finding in attempt.warnings),
        signal=attempt.signal,
        gradient=attempt.gradient,
        score=attempt.score,
        also=tried.also,
        plan=attempt.plan,
    )


def wrong(tried: Tried, best: Attempt, traits: Mapping[str, str]) -> Refusal | None:
    """Return what speaks against a usual method here; None if nothing does, and it only ranks below the best."""
    attempt, said = tried.attempt, []
    said += [f"{finding.kind} at {finding.layer}: {finding.message}" for finding in attempt.errors[:1]]
    if not said:
        said += [f"{finding.kind} at {finding.layer}: {finding.message}" for finding in attempt.warnings[:1]]
    unmet = tried.domain.unmet(traits)
    if unmet:
        said.append("; ".join(_not_met(term, traits) for term in unmet))
    if attempt.score is not None and best.score is not None and grade(attempt.score) > grade(best.score):
        said.append(f"isometry score {_rounded(attempt.score)}, where the best choice has {_rounded(best.score)}")
    if not said and not tried.domain.met(traits):
        said.append("as healthy as the best choices, but it looks at none of what this network is made of")
    return Refusal(tried.card.name, "; ".join(said)) if said else None


def refusal(refused: Refused) -> Refusal:
    """Return a recipe's own reason, without its name in front."""
    reason = re.sub(r"^[a-z_0-9]+@\d+(\([^)]*\))?:? ", "", refused.reason)
    return Refusal(refused.card.name, reason, refused=True)


def _reasons(tried: Tried, traits: Mapping[str, str]) -> list[str]:
    met = tried.domain.met(traits)
    said = []
    if tried.domain.reads_all:
        said.append(f"It reads the whole network: {_listed(traits)}.")
    elif met:
        said.append(f"It is made for this: {_listed({name: traits[name] for name in met})}.")
    else:
        said.append(tried.card.summary)
    said.append(_rule(tried))
    said.append(_numbers(tried.attempt))
    return said


def _numbers(attempt: Attempt) -> str:
    how = "By theory" if attempt.predicted else "Before the first step"
    kinds = [f"{finding.kind} ({finding.level})" for finding in (*attempt.errors, *attempt.warnings)]
    said = [f"{how}: {', '.join(kinds) or 'nothing wrong'}"]
    if math.isfinite(attempt.signal):
        said.append(f"outputs of second moment {attempt.signal:.2g}")
    if attempt.gradient == 0:
        said.append("no gradient behind the first layer yet")
    elif math.isfinite(attempt.gradient):
        said.append(f"the gradient behind the first layer {attempt.gradient:.2g} times that behind the last")
    if attempt.score is not None:
        reached = _REACHED[grade(attempt.score)]
        said.append(f"isometry score {_rounded(attempt.score)} (such networks reached {reached} in the pilot)")
    return "; ".join(said) + "."


def _rounded(score: float) -> str:
    return f"{min(score, -0.05):.1f}" if score < -0.05 else "0"


def _rule(tried: Tried) -> str:
    """The reason that stands beside most elements of weights; of one rule for all of them, its formula."""
    sizes: Counter[str] = Counter()
    for entry in tried.attempt.plan:
        if entry.kind == "parameter" and len(entry.shape) > 1:
            sizes[entry.reason] += entry.size
    if len(sizes) > 1:
        return f"Most of its weights: {sizes.most_common(1)[0][0]}."
    return f"Its weights: {tried.card.formula}"


def _against(tried: Tried) -> list[str]:
    said = [f"{finding.kind} at {finding.layer}: {finding.message}." for finding in tried.attempt.errors]
    said += [f"{finding.kind} at {finding.layer}: {finding.message}." for finding in tried.attempt.warnings]
    return [*said, f"Not for {tried.card.avoid}"]


def _needs(tried: Tried) -> list[str]:
    plan, said = tried.attempt.plan, []
    if tried.data:
        said.append("a batch of real inputs")
    if any(entry.training != (1.0, 1.0, 1.0) for entry in plan):
        said.append("learning rates by tensor: optimizer groups from plan.param_groups(lr)")
    said += [f"in the forward pass, {line}" for line in multiplier_lines(plan.unmet)]
    given = re.search(r"\((.*)\)$", tried.attempt.recipe)
    meanings = dict(tried.card.arguments)
    for name in re.findall(r"(\w+)=", given[1]) if given and tried.card.code and given[0] in tried.card.code else []:
        said.append(f"your own {name}: {meanings.get(name, 'see its card')}")
    return said


def _not_met(term: str, traits: Mapping[str, str]) -> str:
    """A condition of a domain that this network does not meet."""
    if term.startswith("not "):
        return f"it is not for {TRAITS[term[4:]]} ({traits[term[4:]]})"
    return "it is for " + " or ".join(TRAITS[part] for part in term.split(" or "))


def _listed(traits: Mapping[str, str]) -> str:
    return ", ".join(dict.fromkeys(traits.values()))
