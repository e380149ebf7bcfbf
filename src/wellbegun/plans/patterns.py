"""Patterns of rules: globs, regular expressions, module types, and functions that decide."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass

from wellbegun.errors import ArgumentError
from wellbegun.plans.candidate import BUFFERS, GROUPS, NORMALISATION, Candidate

_PREFIXES = {"norm:": NORMALISATION, "buffer:": BUFFERS}


@dataclass(frozen=True)
class Pattern:
    """Which tensors a rule is about.

    Attributes:
        text: as the user wrote it, for messages.
        hits: the names of a tensor that it matches.
        group: the one group of tensors that it may reach, or "" to be decided by what it matches.
        literal: whether it reaches all that it matches: a name without wildcards, or a function.
    """

    text: str
    hits: Callable[[Candidate], frozenset[str]]
    group: str = ""
    literal: bool = False

    def reached(self, matched: list[Candidate], keeps: bool) -> list[Candidate]:
        """Return those of the matched tensors that the rule is about; see docs/rules.md.

        Args:
            matched: every tensor whose name or type the pattern matches.
            keeps: whether the rule leaves values as they are, which may be said of anything.
        """
        if self.literal or (keeps and not self.group):
            return matched
        group = self.group or next((g for g in GROUPS if any(c.group == g for c in matched)), "")
        return [candidate for candidate in matched if candidate.group == group]


def make_pattern(key: object) -> Pattern:
    """Read the left side of a rule.

    >>> make_pattern("*.bias").hits(Candidate("bias"))
    frozenset({'bias'})

    Raises:
        ArgumentError: neither text, a class nor a function; or no valid regular expression.
    """
    if isinstance(key, type):
        return _of_type(f"type:{key.__name__}", f"{key.__module__}.{key.__qualname__}")
    if isinstance(key, str):
        return _of_text(key)
    if callable(key):
        return _of_function(key)
    raise ArgumentError(
        f"a rule matches by a name, a glob such as '*.bias', 're:...', 'type:Linear', a module class or a function of "
        f"a tensor's description; got {key!r}"
    )


def _of_text(text: str) -> Pattern:
    for prefix, group in _PREFIXES.items():
        if text.startswith(prefix):
            inner = _of_text(text.removeprefix(prefix))
            return Pattern(text, inner.hits, group)
    if text.startswith("type:"):
        return _of_type(text, text.removeprefix("type:"))
    if text.startswith("re:"):
        try:
            return _of_expression(text, re.compile(text[3:]))
        except re.error as error:
            raise ArgumentError(f"rule {text!r} is no valid regular expression: {error}") from None
    if not any(mark in text for mark in "*?["):
        return Pattern(text, lambda candidate: frozenset({text} & set(candidate.names)), literal=True)
    # a leading "*." stands for any path, the empty one too: "*.bias" is also the bias of a model that is one layer
    loose = f"(?:{fnmatch.translate(text)})|(?:{fnmatch.translate(text[2:])})" if text.startswith("*.") else ""
    return _of_expression(text, re.compile(loose or fnmatch.translate(text)))


def _of_expression(text: str, expression: re.Pattern[str]) -> Pattern:
    def hits(candidate: Candidate) -> frozenset[str]:
        return frozenset(name for name in candidate.names if expression.fullmatch(name))

    return Pattern(text, hits)


def _of_type(text: str, wanted: str) -> Pattern:
    owner, _, attribute = wanted.rpartition(".")

    def hits(candidate: Candidate) -> frozenset[str]:
        found = set()
        for name, types in zip(candidate.names, candidate.types, strict=False):
            is_attribute = owner and fnmatch.fnmatchcase(name.rpartition(".")[2], attribute)
            if any(_is_type(full, wanted) or (is_attribute and _is_type(full, owner)) for full in types):
                found.add(name)
        return frozenset(found)

    return Pattern(text, hits)


def _is_type(full: str, wanted: str) -> bool:
    """Whether a class is the wanted one: "Linear", "torch.nn.Linear" or its full name.

    Packages offer their classes under shorter names than where they are defined (torch.nn.modules.linear.Linear), so
    a dotted name gives the class and the first packages.
    """
    path, _, name = full.rpartition(".")
    place, _, wanted_name = wanted.rpartition(".")
    return name == wanted_name and (not place or f"{path}.".startswith(f"{place}."))


def _of_function(function: Callable[..., object]) -> Pattern:
    text = getattr(function, "__name__", type(function).__name__)

    def hits(candidate: Candidate) -> frozenset[str]:
        answer = function(candidate)
        if not isinstance(answer, bool):
            raise ArgumentError(f"the rule's function {text} must return True or False, got {answer!r}")
        return frozenset(candidate.names) if answer else frozenset()

    return Pattern(f"function {text}", hits, literal=True)
