"""A rule together with the fans that it shall use, for weights whose use does not give any."""

from __future__ import annotations

from dataclasses import dataclass

from wellbegun.errors import ArgumentError
from wellbegun.laws.fans import Fans
from wellbegun.laws.initializer import Initializer, Law


@dataclass(frozen=True, repr=False)
class WithFans(Initializer):
    """A rule with fans that you give: for a weight of which no operation says what its dimensions are.

    >>> from wellbegun.laws import HeNormal
    >>> WithFans(HeNormal(), Fans(fan_in=512, fan_out=2048)).law()
    Normal(std=0.0625)
    >>> WithFans(HeNormal(), Fans.of((8, 512, 2048), "bio"))
    WithFans(rule=HeNormal(nonlinearity='relu'), fans=Fans(fan_in=512, fan_out=2048))

    Formula: that of the rule, with these fans whatever the forward pass shows.
    Use it for: parameters of three or more dimensions that planning calls ambiguous, weights inside operations that
        wellbegun cannot look into (compiled kernels), weights that the traced forward pass does not use.
    Not for: ordinary layers. Their operations give the fans, and go on giving them when the layer changes.
    Args:
        rule: an initializer that needs fans, such as HeNormal().
        fans: `Fans(fan_in, fan_out)`, or `Fans.of(shape, axes)`.
    """

    rule: Initializer
    fans: Fans
    needs_fans = False

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Initializer) or not self.rule.needs_fans:
            raise ArgumentError(f"rule must be an initializer that needs fans, such as HeNormal(); got {self.rule!r}")
        if not isinstance(self.fans, Fans):
            raise ArgumentError(
                f"fans must be Fans(fan_in=..., fan_out=...) or Fans.of(shape, axes), got {self.fans!r}"
            )

    def law(self, fans: Fans | None = None) -> Law:  # noqa: ARG002
        """Return the rule's law for the given fans."""
        return self.rule.law(self.fans)
