"""The networks that a method is for, in terms that can be compared with what a graph shows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from wellbegun.errors import UnknownNameError

TRAITS: Mapping[str, str] = MappingProxyType(
    {
        "plain": "layers in a row, without normalisation, shortcuts, attention or recurrence",
        "deep": "more than five hidden layers in a row",
        "products": "matrix products and no convolutions",
        "convolutions": "convolutions",
        "rectifier": "an activation of two straight parts (ReLU, leaky ReLU, PReLU)",
        "mirrored": "an activation whose odd part f(u) - f(-u) is a straight line (ReLU, GELU, SiLU, softplus)",
        "odd": "an odd activation, f(-u) = -f(u)",
        "steeper away from 0": "an activation that is steeper away from 0 than at 0 (GELU, SiLU, Mish)",
        "mostly mean": "an activation that passes on more mean than variance (sigmoid)",
        "selu": "SELU",
        "sines": "sines, as in networks of coordinates",
        "finer": "sines of (|z| + 1)·z, as in FINER",
        "residual": "branches that are added to a stream, one after the other",
        "bare branches": "residual branches without normalisation",
        "branch factors": "learnt factors behind the residual branches",
        "pre-norm": "residual branches with a normalisation inside",
        "post-norm": "a normalisation behind each residual sum",
        "normalised": "normalisation",
        "attention": "attention",
        "tables": "look-up tables",
        "recurrent": "recurrent layers",
        "lstm": "forget gates, as LSTMs have",
        "relu state": "a recurrent state behind ReLU",
        "state space": "decay rates under the name A_log, as Mamba has",
        "experts": "stacked experts",
        "shared rates": "your wish to keep learning rates while the width changes",
    }
)
"""What may be said of a network, and what it means."""

ANY, EVERY, USUAL = "any", "every trait", "; usual"
"""Domains without terms: of a method that asks nothing of a network, and of one that reads all of it. Behind a domain:
of a method that is used everywhere, so that people want to know where it is wrong."""

OWN_START = frozenset({"sines", "finer", "state space"})
"""Traits of networks that were published together with their start, which no second moment can replace: it sets
frequencies, or how long a state remembers."""


@dataclass(frozen=True)
class Domain:
    """The conditions that a network has to meet, all of them.

    >>> domain = Domain.read("plain, rectifier or odd, not convolutions")
    >>> domain.unmet({"plain", "convolutions", "odd"})
    ('not convolutions',)

    Attributes:
        terms: each a tuple of alternatives, "not " before a trait that must be absent.
        reads_all: whether the method reads the network's graph and suits itself to all of its traits.
        is_usual: whether people use the method everywhere.
    """

    terms: tuple[tuple[str, ...], ...] = ()
    reads_all: bool = False
    is_usual: bool = False

    @classmethod
    def read(cls, text: str) -> Domain:
        """Read the line of a card.

        Args:
            text: terms with commas between them, the alternatives of a term with "or" between them; "any"; or
                "every trait". "; usual" may follow.

        Raises:
            UnknownNameError: a term is none of `TRAITS`.
        """
        text, is_usual = text.removesuffix(USUAL), text.endswith(USUAL)
        if text in (ANY, EVERY):
            return cls(reads_all=text == EVERY, is_usual=is_usual)
        terms = tuple(tuple(part.strip() for part in term.split(" or ")) for term in text.split(","))
        for part in (part for term in terms for part in term):
            if part.removeprefix("not ") not in TRAITS:
                raise UnknownNameError("trait of a network", part, TRAITS)
        return cls(terms, is_usual=is_usual)

    def unmet(self, traits: Collection[str]) -> tuple[str, ...]:
        """Return the terms that a network of these traits does not meet, as they are written."""
        return tuple(" or ".join(term) for term in self.terms if not any(_holds(part, traits) for part in term))

    def met(self, traits: Collection[str]) -> tuple[str, ...]:
        """Return the traits of the network that the domain asks for."""
        named = (part for term in self.terms for part in term if part in traits)
        return tuple(dict.fromkeys(named))


def _holds(part: str, traits: Collection[str]) -> bool:
    return part[4:] not in traits if part.startswith("not ") else part in traits
