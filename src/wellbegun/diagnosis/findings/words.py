"""Numbers and counts as findings say them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wellbegun.diagnosis.facts import Facts, LayerFacts

NAMED = 3
"""Weights that a finding names one by one."""


def count(number: int, noun: str) -> str:
    """Return a count with its noun, in the plural where that is right.

    >>> count(1, "layer"), count(3, "layer")
    ('1 layer', '3 layers')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def hidden(layers: Sequence[LayerFacts]) -> str:
    """Return how many hidden layers there are, in words."""
    return count(len(layers), "hidden layer")


def names(all_of_them: Sequence[str], most: int = NAMED) -> str:
    """Return the first few names, and whether there are more.

    >>> names(["a", "b", "c", "d"])
    'a, b, c, ...'
    """
    return ", ".join(all_of_them[:most]) + (", ..." if len(all_of_them) > most else "")


def cosine(value: float) -> str:
    """Return a cosine so that its distance from 1 can be read.

    >>> cosine(0.9700001), cosine(1 - 1e-9)
    ('0.97', '1 - 1e-09')
    """
    if abs(value) < 0.005:
        return "0.00"
    return f"{value:.2f}" if value < 0.995 else f"1 - {max(1 - value, 0):.1g}" if value < 1 else "1"


def weights_of(facts: Facts, layers: Iterable[LayerFacts]) -> tuple[str, ...]:
    """Return the parameters that the weights of these layers are made of, each once, for a repair."""
    found = (name for layer in layers for name in facts.aliases.get(layer.name, (layer.name,)))
    return tuple(dict.fromkeys(found))
