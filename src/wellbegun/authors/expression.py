"""What an element holds: a number, a draw, or a function of such, written down and not computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DRAWS = frozenset({"normal", "uniform", "truncated", "exponential", "bernoulli"})
"""normal(mean, std), uniform(low, high), truncated(mean, std, low, high in sigmas), exponential(rate), bernoulli(p)."""


@dataclass(frozen=True, eq=False)
class Expression:
    """A node; two are the same draw only if they are the same object.

    Attributes:
        kind: "constant" (a number), one of DRAWS, "law" (a whole tensor drawn by a law), "given" (a tensor of numbers),
            "seen" (another expression's elements in another order), "nothing" (memory that nobody has written),
            "opaque" (only the tape knows), or the name of an element-wise function.
        arguments: numbers, or other nodes.
        elements: how many numbers were drawn; 0 where nobody counted.
    """

    kind: str
    arguments: tuple[Any, ...] = ()
    elements: int = 0

    @property
    def is_constant(self) -> bool:
        """Whether it is one number."""
        return self.kind == "constant"

    def nodes(self) -> Iterator[Expression]:
        """Itself and all that it is made of, each once."""
        found, waiting = {id(self)}, [self]
        while waiting:
            node = waiting.pop()
            yield node
            for part in node.arguments:
                if isinstance(part, Expression) and id(part) not in found:
                    found.add(id(part))
                    waiting.append(part)

    @property
    def is_random(self) -> bool:
        """Whether random numbers go into it, as far as it is known."""
        return any(node.kind in DRAWS or node.kind in ("law", "opaque") for node in self.nodes())


NOTHING = Expression("nothing")
OPAQUE = Expression("opaque")


def constant(value: float) -> Expression:
    """Make the node of a number."""
    return Expression("constant", (float(value),))
