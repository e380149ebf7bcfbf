"""Rules that the user declares: patterns, each with what the matching tensors shall hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wellbegun.errors import (
    ArgumentError,
    PlanError,
    ShadowedRuleError,
    UnusedRuleError,
    WellbegunError,
    closest_names,
    join_names,
)
from wellbegun.laws import Initializer, Keep, parse_method
from wellbegun.plans.candidate import NORMALISATION, Candidate
from wellbegun.plans.patterns import Pattern, make_pattern


@dataclass(frozen=True)
class Rule:
    """One pattern and its initializer.

    Attributes:
        pattern: which tensors.
        initializer: what they shall hold.
        origin: file and line that it was read from, or "".
        reason: the user's own words, or "".
    """

    pattern: Pattern
    initializer: Initializer
    origin: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"rule {self.pattern.text!r}" + (f" ({self.origin})" if self.origin else "")


@dataclass(frozen=True)
class Assignment:
    """Which rule each tensor follows.

    Attributes:
        winners: canonical name to rule.
        passed: canonical name to the last rule that matches the tensor by its name and is not about its kind.
    """

    winners: dict[str, Rule] = field(default_factory=dict)
    passed: dict[str, Rule] = field(default_factory=dict)

    def note(self, candidate: Candidate, planned: Initializer) -> str:
        """Say in words that a rule matches a normalisation by name, asks for something else and leaves it alone."""
        rule = self.passed.get(candidate.name)
        if rule is None or candidate.name in self.winners or candidate.group != NORMALISATION:
            return ""
        if rule.initializer.needs_fans or rule.initializer.law() != planned.law():
            return f"your rule {rule.pattern.text!r} is not about normalisation (say 'norm:...' if it shall be)"
        return ""


def make_rules(rules: Any) -> tuple[Rule, ...]:
    """Check the user's rules.

    >>> [rule.initializer for rule in make_rules({"*": "normal(std=0.02)", "*.bias": "zeros"})]
    [Normal(std=0.02), Zeros()]

    Args:
        rules: {pattern: initializer}, in which an initializer may be text; or rules made before, or None.

    Raises:
        ArgumentError: a pattern or an initializer cannot be read.
    """
    if rules is None:
        return ()
    if isinstance(rules, tuple) and all(isinstance(rule, Rule) for rule in rules):
        return rules
    if not isinstance(rules, Mapping):
        raise ArgumentError(
            f"rules must be a dictionary {{pattern: initializer}} or what load_rules gives; got {rules!r}"
        )
    return tuple(make_rule(key, value) for key, value in rules.items())


def make_rule(key: object, value: object, origin: str = "", reason: str = "") -> Rule:
    """Read one rule.

    Raises:
        ArgumentError: its pattern or its initializer cannot be read.
    """
    pattern = make_pattern(key)
    if isinstance(value, str):
        try:
            value = parse_initializer(value)
        except ArgumentError as error:
            raise ArgumentError(f"rule {pattern.text!r}: {error}") from None
    if not isinstance(value, Initializer):
        raise ArgumentError(
            f"rule {pattern.text!r} must give an initializer such as wb.Zeros(), wb.HeNormal() or 'normal(std=0.02)', "
            f"got {value!r}"
        )
    return Rule(pattern, value, origin, reason)


def parse_initializer(text: str) -> Initializer:
    """Read an initializer from text; "keep" leaves a tensor's own value.

    >>> parse_initializer("orthogonal(gain=0.5)")
    Orthogonal(gain=0.5)
    """
    if text.strip().lower() in ("keep", "keep()"):
        return Keep()
    method, arguments = parse_method(text)
    return method.make(**arguments)


def assign_rules(rules: tuple[Rule, ...], candidates: Iterable[Candidate]) -> Assignment:
    """Give each tensor its rule: of two that are about it, the later wins.

    Args:
        rules: in the user's order.
        candidates: every tensor of the model.

    Raises:
        UnusedRuleError: a rule matches nothing; the closest names are offered.
        ShadowedRuleError: later rules take over everything that a rule is about.
        PlanError: two rules ask for different things under two names of one tensor.
    """
    everything = list(candidates)
    hits: dict[str, list[tuple[Rule, frozenset[str]]]] = {}
    reach: list[list[str]] = []
    passed: dict[str, Rule] = {}
    for rule in rules:
        names = {candidate.name: _hits(rule, candidate) for candidate in everything}
        matched = [candidate for candidate in everything if names[candidate.name]]
        reached = rule.pattern.reached(matched, isinstance(rule.initializer, Keep))
        if not reached:
            raise UnusedRuleError(_unused(rule, matched, everything))
        reach.append([candidate.name for candidate in reached])
        taken = set(reach[-1])
        passed |= {candidate.name: rule for candidate in matched if candidate.name not in taken}
        for name in reach[-1]:
            hits.setdefault(name, []).append((rule, names[name]))
    for candidate in everything:
        _check_agreement(hits.get(candidate.name, []), candidate.names)
    winners = {name: found[-1][0] for name, found in hits.items()}
    winning = {id(rule) for name, found in hits.items() for rule in _in_force(found)}
    for rule, names_of in zip(rules, reach, strict=True):
        if id(rule) not in winning:
            takers = ", ".join(dict.fromkeys(winners[name].pattern.text for name in sorted(names_of)))
            raise ShadowedRuleError(
                f"{rule} has no effect: later rules ({takers}) take over all it matches; put the more special rule last"
            )
    return Assignment(winners, passed)


def _in_force(hits: list[tuple[Rule, frozenset[str]]]) -> list[Rule]:
    """The winner, and rules that say the same of other names of the tensor."""
    winner, its_names = hits[-1]
    agreed = [rule for rule, names in hits[:-1] if not names & its_names and rule.initializer == winner.initializer]
    return [winner, *agreed]


def _hits(rule: Rule, candidate: Candidate) -> frozenset[str]:
    try:
        return rule.pattern.hits(candidate)
    except WellbegunError:
        raise
    except Exception as error:
        raise ArgumentError(f"{rule} failed for {candidate.name}: {type(error).__name__}: {error}") from error


def _unused(rule: Rule, matched: list[Candidate], everything: list[Candidate]) -> str:
    if matched:  # a prefix asks for a group that the pattern has nothing of
        kinds = " and ".join(sorted({candidate.group for candidate in matched}))
        return f"{rule} matches only {kinds}, and its prefix asks for {rule.pattern.group}"
    text = rule.pattern.text
    if text.startswith("type:"):
        known = {full.rpartition(".")[2] for c in everything for types in c.types for full in types}
        wanted, what = text.removeprefix("type:").rpartition(".")[2], "no module with parameters or buffers"
        near = closest_names(wanted, known)
    else:
        known = {name for candidate in everything for name in candidate.names}
        wanted, what = text.removeprefix("norm:").removeprefix("buffer:").removeprefix("re:"), "no parameter or buffer"
        near = closest_names(wanted, known)
    return f"{rule} matches {what}" + (f"; the closest names are {join_names(near)}" if near else "")


def _check_agreement(hits: list[tuple[Rule, frozenset[str]]], names: tuple[str, ...]) -> None:
    """Raise PlanError where another rule shares no name with the winner, so that it is not overridden but ignored."""
    if not hits:
        return
    winner, its_names = hits[-1]
    for rule, other_names in hits[:-1]:
        if not its_names & other_names and rule.initializer != winner.initializer:
            raise PlanError(
                f"{' and '.join(names)} are one tensor, but {rule} asks for {rule.initializer!r} and {winner} for "
                f"{winner.initializer!r}; give both the same, or end with a rule that matches both names"
            )
