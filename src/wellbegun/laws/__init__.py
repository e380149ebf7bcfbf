"""Laws (distributions with nothing left to look up) and initializers (rules that become laws once fans are known)."""

from wellbegun.laws.basic import Constant, Equal, Keep, Normal, Ones, TruncatedNormal, Uniform, Zeros
from wellbegun.laws.card import NEEDS, Card, by_need
from wellbegun.laws.catalogue import METHODS, Method, find_method, method_names, parse_method
from wellbegun.laws.compensation import MeanCompensation
from wellbegun.laws.computed import Computed
from wellbegun.laws.fans import Fans
from wellbegun.laws.geometric import DeltaOrthogonal, MirroredOrthogonal, Orthogonal
from wellbegun.laws.identity import Dirac, Identity
from wellbegun.laws.initializer import Initializer, Law
from wellbegun.laws.kumar import Kumar
from wellbegun.laws.left_out import LEFT_OUT
from wellbegun.laws.patched import Patched
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
from wellbegun.laws.sparse import Sparse
from wellbegun.laws.stored import Stored
from wellbegun.laws.with_fans import WithFans

__all__ = [
    "LAWS",
    "LEFT_OUT",
    "METHODS",
    "NEEDS",
    "Card",
    "Computed",
    "Constant",
    "DeltaOrthogonal",
    "Dirac",
    "Equal",
    "FanInUniform",
    "Fans",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "Keep",
    "Kumar",
    "Law",
    "LecunNormal",
    "LecunUniform",
    "MeanCompensation",
    "Method",
    "MirroredOrthogonal",
    "Normal",
    "Ones",
    "Orthogonal",
    "Patched",
    "Sparse",
    "Stored",
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
