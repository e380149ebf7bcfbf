"""Rules that the user declares: patterns of names, each with what the matching tensors shall hold."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wellbegun.errors import ArgumentError, PlanError, ShadowedRuleError, UnusedRuleError, closest_names, join_names
from wellbegun.laws import Initializer


@dataclass(frozen=True)
class Rule:
    """One pattern and its initializer; "re:..." is a regular expression, anything else a glob, both for whole names."""

    pattern: str
    initializer: Initializer

    def matches(self, name: str) -> bool:
        """Say whether the pattern covers this name."""
        if self.pattern.startswith("re:"):
            return re.fullmatch(self.pattern[3:], name) is not None
        return fnmatch.fnmatchcase(name, self.pattern)


def make_rules(rules: Mapping[str, Initializer] | None) -> tuple[Rule, ...]:
    """Check the user's mapping and make rules of it.

    Raises:
        ArgumentError: a pattern is no valid text, or a value is no initializer.
    """
    if not isinstance(rules or {}, Mapping) or not all(isinstance(pattern, str) for pattern in rules or {}):
        raise ArgumentError(f"rules must be a dictionary {{name or pattern: initializer}}, got {rules!r}")
    made = []
    for pattern, initializer in (rules or {}).items():
        if not isinstance(initializer, Initializer):
            raise ArgumentError(
                f"rule {pattern!r} must give an initializer such as wb.Zeros() or wb.HeNormal(), got {initializer!r}"
            )
        if pattern.startswith("re:"):
            try:
                re.compile(pattern[3:])
            except re.error as error:
                raise ArgumentError(f"rule {pattern!r} is no valid regular expression: {error}") from None
        made.append(Rule(pattern, initializer))
    return tuple(made)


def assign_rules(rules: tuple[Rule, ...], tensors: Iterable[tuple[str, ...]]) -> dict[str, Rule]:
    """Give each tensor its rule: of two that match, the later wins.

    Args:
        rules: in the user's order.
        tensors: all names of each tensor, the canonical one first.

    Raises:
        UnusedRuleError: a rule matches nothing; the closest names are offered.
        ShadowedRuleError: later rules take over everything that a rule matches.
        PlanError: two rules ask for different things under two names of one tensor.
    """
    groups = list(tensors)
    winner: dict[str, Rule] = {}
    matched: dict[Rule, list[str]] = {rule: [] for rule in rules}
    for names in groups:
        hits = [rule for rule in rules if any(rule.matches(name) for name in names)]
        for rule in hits:
            matched[rule].append(names[0])
        if hits:
            winner[names[0]] = hits[-1]
            _check_agreement(hits, names)
    for rule, names_of in matched.items():
        if not names_of:
            near = closest_names(rule.pattern.removeprefix("re:"), [name for names in groups for name in names])
            offer = f"; the closest names are {join_names(near)}" if near else ""
            raise UnusedRuleError(f"rule {rule.pattern!r} matches no parameter or buffer{offer}")
        if rule not in winner.values():
            takers = sorted({winner[name].pattern for name in names_of})
            raise ShadowedRuleError(
                f"rule {rule.pattern!r} has no effect: later rules ({', '.join(takers)}) take over all it matches; "
                "put the more special rule last"
            )
    return winner


def _check_agreement(hits: list[Rule], names: tuple[str, ...]) -> None:
    """Raise PlanError where another rule shares no name with the winner, so that it is not overridden but ignored."""
    winner = hits[-1]
    for rule in hits[:-1]:
        together = any(rule.matches(name) and winner.matches(name) for name in names)
        if not together and rule.initializer != winner.initializer:
            raise PlanError(
                f"{' and '.join(names)} are one tensor, but rule {rule.pattern!r} asks for {rule.initializer!r} and "
                f"rule {winner.pattern!r} for {winner.initializer!r}; give both the same"
            )
