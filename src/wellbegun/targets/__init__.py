"""Places that numbers can go to: plan -> numbers."""

from wellbegun.targets.apply import Applied, apply, initialize
from wellbegun.targets.fill import fill
from wellbegun.targets.to_numpy import to_numpy

__all__ = ["Applied", "apply", "fill", "initialize", "to_numpy"]
