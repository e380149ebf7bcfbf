"""Places that numbers can go to: plan -> numbers."""

from wellbegun.targets.apply import Applied, apply, initialize
from wellbegun.targets.checkpoint import WrittenCheckpoint, write_checkpoint
from wellbegun.targets.fill import fill, fill_tensor
from wellbegun.targets.fill_missing import fill_missing
from wellbegun.targets.to_numpy import to_numpy

__all__ = [
    "Applied",
    "WrittenCheckpoint",
    "apply",
    "fill",
    "fill_missing",
    "fill_tensor",
    "initialize",
    "to_numpy",
    "write_checkpoint",
]
