"""The methods by the names people use for them, and how text such as 'normal(std=0.02)' becomes one."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.laws.basic import Constant, Equal, Normal, Ones, TruncatedNormal, Uniform, Zeros
from wellbegun.laws.card import Card
from wellbegun.laws.expanding import ScaledOrthogonal
from wellbegun.laws.gates import ChronoBias
from wellbegun.laws.geometric import DeltaOrthogonal, MirroredOrthogonal, Orthogonal
from wellbegun.laws.hadamard import Hadamard
from wellbegun.laws.identity import Dirac, Identity
from wellbegun.laws.initializer import Initializer
from wellbegun.laws.kumar import Kumar
from wellbegun.laws.nguyen_widrow import FixedLengthRows, NguyenWidrow
from wellbegun.laws.padded import NoisyIdentity, PaddedIdentity, TanhFixedPoint
from wellbegun.laws.prior import PriorBias
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


@dataclass(frozen=True)
class Method:
    """One initializer under the name that people use for it.

    Attributes:
        name: canonical name.
        kind: the class.
        defaults: arguments used where the class has no default of its own.
        aliases: other names for the same thing.
    """

    name: str
    kind: type[Initializer]
    defaults: dict[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    def make(self, **arguments: Any) -> Initializer:
        """Make the initializer with these arguments."""
        try:
            return self.kind(**(self.defaults | arguments))
        except TypeError:
            import inspect

            allowed = ", ".join(inspect.signature(self.kind).parameters) or "none"
            raise ArgumentError(f"{self.name} does not take {sorted(arguments)}; its arguments: {allowed}") from None

    def card(self) -> Card:
        """The method's card."""
        return Card.of(self.name, self.kind, repr(self.make()))


METHODS: tuple[Method, ...] = (
    Method("zeros", Zeros, aliases=("zero",)),
    Method("ones", Ones),
    Method("constant", Constant, {"value": 0.1}),
    Method("equal", Equal),
    Method("normal", Normal, {"std": 1.0}, ("random_normal", "gaussian")),
    Method("uniform", Uniform, {"low": -0.05, "high": 0.05}, ("random_uniform",)),
    Method("truncated_normal", TruncatedNormal, {"std": 0.02}, ("trunc_normal",)),
    Method("fan_in_uniform", FanInUniform, aliases=("faninuniform", "torch_default", "heuristic")),
    Method("xavier", XavierUniform, aliases=("glorot", "xavier_uniform", "glorot_uniform")),
    Method("xavier_normal", XavierNormal, aliases=("glorot_normal",)),
    Method("he", HeNormal, aliases=("kaiming", "he_normal", "kaiming_normal")),
    Method("he_uniform", HeUniform, aliases=("kaiming_uniform",)),
    Method("lecun", LecunNormal, aliases=("lecun_normal",)),
    Method("lecun_uniform", LecunUniform),
    Method("kumar", Kumar, aliases=("kumar_normal",)),
    Method("variance_scaling", VarianceScaling, {"variance": 1.0}),
    Method("orthogonal", Orthogonal),
    Method("mirrored_orthogonal", MirroredOrthogonal, aliases=("mirrored",)),
    Method("delta_orthogonal", DeltaOrthogonal),
    Method("identity", Identity, aliases=("eye",)),
    Method("dirac", Dirac),
    Method("sparse", Sparse, {"sparsity": 0.9}),
    Method("nguyen_widrow", NguyenWidrow),
    Method("sinusoidal", Sinusoidal),
    Method("scaled_orthogonal", ScaledOrthogonal, aliases=("suo",)),
    Method("hadamard", Hadamard),
    Method("tanh_fixed_point", TanhFixedPoint),
    Method("padded_identity", PaddedIdentity),
    Method("fixed_length_rows", FixedLengthRows, {"length": 1.0}),
    Method("noisy_identity", NoisyIdentity, {"std": 0.01}),
    Method("chrono_bias", ChronoBias, {"longest": 100}),
    Method("time_step_bias", TimeStepBias, aliases=("dt_bias",)),
    Method("mamba2_decay", Mamba2Decay),
    Method("s4d_real", S4DReal, aliases=("mamba_decay",)),
    Method("s4d_lin", S4DLin),
    Method("hippo_legs", HippoLegS, aliases=("hippo",)),
    Method("prior_bias", PriorBias),
)


def method_names() -> dict[str, Method]:
    """Return every name and alias with its method."""
    return {name: method for method in METHODS for name in (method.name, *method.aliases)}


def find_method(name: str) -> Method:
    """Return the method of a name, in any spelling of case, dashes and spaces.

    >>> find_method("He").name, find_method("Glorot").name, find_method("HeNormal").name
    ('he', 'xavier', 'he')

    Raises:
        UnknownNameError: no such method; the closest names are offered.
    """
    table = method_names()
    by_class = {method.kind.__name__.lower(): method for method in METHODS}
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    found = table.get(key) or by_class.get(key)
    if found is None:
        raise UnknownNameError("method", name, ["auto", *(method.name for method in METHODS)], table)
    return found


def parse_method(text: str) -> tuple[Method, dict[str, Any]]:
    """Read 'he' or 'normal(std=0.02)' into a method and its arguments; nothing is executed.

    >>> method, arguments = parse_method("normal(std=0.02)")
    >>> method.make(**arguments)
    Normal(std=0.02)
    """
    name, bracket, rest = text.strip().partition("(")
    method = find_method(name)
    if not bracket:
        return method, {}
    try:
        call = ast.parse(f"f({rest}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError
        arguments = {str(keyword.arg): _literal(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError):
        raise ArgumentError(f"cannot read {text!r}; write for example normal(std=0.02) or he(mode='fan_out')") from None
    return method, arguments


def _literal(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
