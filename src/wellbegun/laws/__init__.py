"""Laws (distributions with nothing left to look up) and initializers (rules that become laws once fans are known)."""

from wellbegun.laws.basic import Constant, Equal, Keep, Normal, Ones, TruncatedNormal, Uniform, Zeros
from wellbegun.laws.card import NEEDS, Card, by_need
from wellbegun.laws.catalogue import METHODS, Method, find_method, method_names, parse_method
from wellbegun.laws.compensation import MeanCompensation
from wellbegun.laws.computed import Computed
from wellbegun.laws.expanding import ScaledOrthogonal
from wellbegun.laws.fans import Fans
from wellbegun.laws.gates import ChronoBias
from wellbegun.laws.geometric import DeltaOrthogonal, MirroredOrthogonal, Orthogonal
from wellbegun.laws.hadamard import Hadamard
from wellbegun.laws.identity import Dirac, Identity
from wellbegun.laws.indexed import IndexedLaw, OrientedLaw
from wellbegun.laws.initializer import Initializer, Law
from wellbegun.laws.kumar import Kumar
from wellbegun.laws.left_out import LEFT_OUT
from wellbegun.laws.nguyen_widrow import FixedLengthRows, NguyenWidrow
from wellbegun.laws.padded import NoisyIdentity, PaddedIdentity, TanhFixedPoint
from wellbegun.laws.patched import Patched
from wellbegun.laws.per_channel import PerChannel
from wellbegun.laws.prior import PriorBias
from wellbegun.laws.record import LAWS, law_from_record, law_to_record
from wellbegun.laws.scaled import (
    FanInUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    XavierNormal,
    XavierUniform,
)
from wellbegun.laws.sinusoidal import Sinusoidal
from wellbegun.laws.sparse import Sparse
from wellbegun.laws.state_space import HippoLegS, Mamba2Decay, S4DLin, S4DReal, TimeStepBias
from wellbegun.laws.stored import Stored
from wellbegun.laws.with_fans import WithFans

__all__ = [
    "LAWS",
    "LEFT_OUT",
    "METHODS",
    "NEEDS",
    "Card",
    "ChronoBias",
    "Computed",
    "Constant",
    "DeltaOrthogonal",
    "Dirac",
    "Equal",
    "FanInUniform",
    "Fans",
    "FixedLengthRows",
    "Hadamard",
    "HeNormal",
    "HeUniform",
    "HippoLegS",
    "Identity",
    "IndexedLaw",
    "Initializer",
    "Keep",
    "Kumar",
    "Law",
    "LecunNormal",
    "LecunUniform",
    "Mamba2Decay",
    "MeanCompensation",
    "Method",
    "MirroredOrthogonal",
    "NguyenWidrow",
    "NoisyIdentity",
    "Normal",
    "Ones",
    "OrientedLaw",
    "Orthogonal",
    "PaddedIdentity",
    "Patched",
    "PerChannel",
    "PriorBias",
    "S4DLin",
    "S4DReal",
    "ScaledOrthogonal",
    "Sinusoidal",
    "Sparse",
    "Stored",
    "TanhFixedPoint",
    "TimeStepBias",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "WithFans",
    "XavierNormal",
    "XavierUniform",
    "Zeros",
    "by_need",
    "find_method",
    "law_from_record",
    "law_to_record",
    "method_names",
    "parse_method",
]
