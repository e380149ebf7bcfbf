"""Which sharding each tensor of a plan gets: one for all, or by names and patterns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wellbegun.errors import ArgumentError
from wellbegun.plans import Candidate, Entry, Plan
from wellbegun.plans.patterns import Pattern, make_pattern

if TYPE_CHECKING:
    from jax.sharding import Sharding


def assign_shardings(shardings: object, plan: Plan, names: Mapping[str, Entry]) -> Mapping[str, Sharding | None]:
    """Give each name its sharding: of two patterns that match it, the later wins.

    Args:
        shardings: one for all; {name or pattern: sharding}; or None, which gives None to all.
        plan: a pattern must match something in it, whether or not that is asked for.
        names: those that arrays are made for, each with its entry.

    Raises:
        ArgumentError: neither of these, a pattern that matches nothing, or names that nothing matches.
    """
    import jax

    if shardings is None:
        return dict.fromkeys(names)
    if isinstance(shardings, jax.sharding.Sharding):
        return dict.fromkeys(names, shardings)
    if not isinstance(shardings, Mapping):
        raise ArgumentError(
            f"shardings must be a jax.sharding.Sharding, a dictionary {{name or pattern: sharding}} or None; got "
            f"{type(shardings).__name__}"
        )
    found: dict[str, Sharding] = {}
    candidates = {entry.name: _candidate(entry) for entry in plan}
    for key, sharding in shardings.items():
        if not isinstance(sharding, jax.sharding.Sharding):
            raise ArgumentError(f"the sharding of {key!r} must be a jax.sharding.Sharding, got {sharding!r}")
        pattern = _pattern(key)
        hits = {name for name, candidate in candidates.items() if _is_hit(pattern, candidate)}
        if not hits:
            raise ArgumentError(f"{pattern.text!r} in shardings matches no tensor of the plan")
        found |= {name: sharding for name, entry in names.items() if entry.name in hits}
    missing = [name for name in names if name not in found]
    if missing:
        raise ArgumentError(
            f"shardings say nothing about {', '.join(missing)}; put '*' first for those that nothing else matches"
        )
    return found


def _pattern(key: object) -> Pattern:
    if isinstance(key, type) or (isinstance(key, str) and key.startswith("type:")):
        raise ArgumentError(f"shardings go by names ('*.weight', 're:...'); a plan does not know types: {key!r}")
    return make_pattern(key)


def _candidate(entry: Entry) -> Candidate:
    return Candidate(
        entry.name, entry.kind, entry.shape, entry.role, fans=entry.fans, ties=entry.ties, dtype=entry.dtype
    )


def _is_hit(pattern: Pattern, candidate: Candidate) -> bool:
    return bool(pattern.hits(candidate)) and pattern.group in ("", candidate.group)
