"""Places that numbers can go to: plan -> numbers."""

from wellbegun.targets.apply import Applied, apply, initialize
from wellbegun.targets.checkpoint import WrittenCheckpoint, write_checkpoint
from wellbegun.targets.dummy import dummy
from wellbegun.targets.fill import fill, fill_tensor
from wellbegun.targets.fill_missing import fill_missing
from wellbegun.targets.recording import recording
from wellbegun.targets.to_jax import to_jax
from wellbegun.targets.to_numpy import to_numpy
from wellbegun.targets.verification import Fault, Verification
from wellbegun.targets.verify import verify, verify_replicas

__all__ = [
    "Applied",
    "Fault",
    "Verification",
    "WrittenCheckpoint",
    "apply",
    "dummy",
    "fill",
    "fill_missing",
    "fill_tensor",
    "initialize",
    "recording",
    "to_jax",
    "to_numpy",
    "verify",
    "verify_replicas",
    "write_checkpoint",
]
