"""wellbegun decides, explains, writes and checks the starting weights of neural networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wellbegun import nn_init as nn_init
    from wellbegun.advice import advise as advise
    from wellbegun.authors import skeleton as skeleton
    from wellbegun.diagnosis import diagnose as diagnose
    from wellbegun.diagnosis import sweep as sweep
    from wellbegun.lab import compare as compare
    from wellbegun.laws import ChronoBias as ChronoBias
    from wellbegun.laws import Computed as Computed
    from wellbegun.laws import Constant as Constant
    from wellbegun.laws import DeltaOrthogonal as DeltaOrthogonal
    from wellbegun.laws import Dirac as Dirac
    from wellbegun.laws import Equal as Equal
    from wellbegun.laws import FanInUniform as FanInUniform
    from wellbegun.laws import Fans as Fans
    from wellbegun.laws import FixedLengthRows as FixedLengthRows
    from wellbegun.laws import Hadamard as Hadamard
    from wellbegun.laws import HeNormal as HeNormal
    from wellbegun.laws import HeUniform as HeUniform
    from wellbegun.laws import HippoLegS as HippoLegS
    from wellbegun.laws import Identity as Identity
    from wellbegun.laws import Keep as Keep
    from wellbegun.laws import Kumar as Kumar
    from wellbegun.laws import LecunNormal as LecunNormal
    from wellbegun.laws import LecunUniform as LecunUniform
    from wellbegun.laws import Mamba2Decay as Mamba2Decay
    from wellbegun.laws import MeanCompensation as MeanCompensation
    from wellbegun.laws import MimeticFactor as MimeticFactor
    from wellbegun.laws import MirroredOrthogonal as MirroredOrthogonal
    from wellbegun.laws import NguyenWidrow as NguyenWidrow
    from wellbegun.laws import NoisyIdentity as NoisyIdentity
    from wellbegun.laws import Normal as Normal
    from wellbegun.laws import Ones as Ones
    from wellbegun.laws import Orthogonal as Orthogonal
    from wellbegun.laws import PaddedIdentity as PaddedIdentity
    from wellbegun.laws import Patched as Patched
    from wellbegun.laws import PerChannel as PerChannel
    from wellbegun.laws import PriorBias as PriorBias
    from wellbegun.laws import S4DLin as S4DLin
    from wellbegun.laws import S4DReal as S4DReal
    from wellbegun.laws import ScaledOrthogonal as ScaledOrthogonal
    from wellbegun.laws import Sinusoidal as Sinusoidal
    from wellbegun.laws import Sparse as Sparse
    from wellbegun.laws import Stored as Stored
    from wellbegun.laws import TanhFixedPoint as TanhFixedPoint
    from wellbegun.laws import TimeStepBias as TimeStepBias
    from wellbegun.laws import TruncatedNormal as TruncatedNormal
    from wellbegun.laws import Uniform as Uniform
    from wellbegun.laws import VarianceScaling as VarianceScaling
    from wellbegun.laws import WithFans as WithFans
    from wellbegun.laws import XavierNormal as XavierNormal
    from wellbegun.laws import XavierUniform as XavierUniform
    from wellbegun.laws import Zeros as Zeros
    from wellbegun.plans import Plan as Plan
    from wellbegun.plans import load_plan as load_plan
    from wellbegun.plans import load_rules as load_rules
    from wellbegun.recipes import plan as plan
    from wellbegun.sampler import get_num_threads as get_num_threads
    from wellbegun.sampler import set_num_threads as set_num_threads
    from wellbegun.targets import apply as apply
    from wellbegun.targets import dummy as dummy
    from wellbegun.targets import fill as fill
    from wellbegun.targets import fill_missing as fill_missing
    from wellbegun.targets import initialize as initialize
    from wellbegun.targets import recording as recording
    from wellbegun.targets import to_jax as to_jax
    from wellbegun.targets import to_numpy as to_numpy
    from wellbegun.targets import verify as verify
    from wellbegun.targets import verify_replicas as verify_replicas
    from wellbegun.targets import write_checkpoint as write_checkpoint
    from wellbegun.theory import critical as critical
    from wellbegun.theory import gain as gain
    from wellbegun.tuning import calibrate as calibrate
    from wellbegun.tuning import equal_rates as equal_rates
    from wellbegun.tuning import gradinit as gradinit
    from wellbegun.tuning import metainit as metainit
    from wellbegun.tuning import plan_adapters as plan_adapters
    from wellbegun.tuning import plan_new_tokens as plan_new_tokens
    from wellbegun.tuning import profile_admin as profile_admin
    from wellbegun.tuning import select_weights as select_weights
    from wellbegun.tuning import standardize as standardize
    from wellbegun.tuning import swim as swim
    from wellbegun.tuning import upcycle as upcycle

__version__ = "0.1.0"

# Where each public name lives. Loaded on first use, so that `import wellbegun` loads no framework, Numba or SciPy.
_HOMES = {
    "advice": ("advise",),
    "authors": ("skeleton",),
    "diagnosis": ("diagnose", "sweep"),
    "lab": ("compare",),
    "laws": (
        "ChronoBias", "Computed", "Constant", "DeltaOrthogonal", "Dirac", "Equal", "FanInUniform", "Fans",
        "FixedLengthRows", "Hadamard", "HeNormal", "HeUniform", "HippoLegS", "Identity", "Keep", "Kumar",
        "LecunNormal", "LecunUniform", "Mamba2Decay", "MeanCompensation", "MimeticFactor", "MirroredOrthogonal",
        "NguyenWidrow", "NoisyIdentity", "Normal", "Ones", "Orthogonal", "PaddedIdentity", "Patched",
        "PerChannel", "PriorBias", "S4DLin", "S4DReal", "ScaledOrthogonal", "Sinusoidal", "Sparse", "Stored",
        "TanhFixedPoint", "TimeStepBias", "TruncatedNormal", "Uniform", "VarianceScaling", "WithFans",
        "XavierNormal", "XavierUniform", "Zeros",
    ),
    "plans": ("Plan", "load_plan", "load_rules"),
    "recipes": ("plan",),
    "sampler": ("get_num_threads", "set_num_threads"),
    "targets": (
        "apply", "dummy", "fill", "fill_missing", "initialize", "recording", "to_jax", "to_numpy", "verify",
        "verify_replicas", "write_checkpoint",
    ),
    "theory": ("critical", "gain"),
    "tuning": (
        "calibrate", "equal_rates", "gradinit", "metainit", "plan_adapters", "plan_new_tokens", "profile_admin",
        "select_weights", "standardize", "swim", "upcycle",
    ),
}  # fmt: skip

__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    if name == "nn_init":  # a module, which needs torch: not in __all__, so that `import *` works without it
        return importlib.import_module("wellbegun.nn_init")
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(importlib.import_module(f"wellbegun.{home}"), name)
            globals()[name] = value  # so that the next use costs nothing
            return value
    raise AttributeError(f"module 'wellbegun' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__", "nn_init"]
