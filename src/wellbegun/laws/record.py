"""Laws as plain data: what a saved plan holds, and nothing that could run."""

from __future__ import annotations

import inspect
import math
from dataclasses import fields
from typing import Any

from wellbegun.errors import ArgumentError, PlanFileError
from wellbegun.laws.basic import Constant, Keep, Normal, TruncatedNormal, Uniform
from wellbegun.laws.compensation import MeanCompensation
from wellbegun.laws.computed import Computed
from wellbegun.laws.gates import ChronoBias
from wellbegun.laws.geometric import DeltaOrthogonal, MirroredOrthogonal, Orthogonal
from wellbegun.laws.hadamard import Hadamard
from wellbegun.laws.identity import Dirac, Identity
from wellbegun.laws.initializer import Law
from wellbegun.laws.nguyen_widrow import FixedLengthRows
from wellbegun.laws.padded import NoisyIdentity, PaddedIdentity
from wellbegun.laws.patched import Patched
from wellbegun.laws.per_channel import PerChannel
from wellbegun.laws.sinusoidal import Sinusoidal
from wellbegun.laws.sparse import Sparse
from wellbegun.laws.state_space import HippoLegS, S4DLin, S4DReal
from wellbegun.laws.stored import Stored

LAWS: tuple[type[Law], ...] = (
    Constant,
    Normal,
    Uniform,
    TruncatedNormal,
    Orthogonal,
    MirroredOrthogonal,
    DeltaOrthogonal,
    Identity,
    Dirac,
    Hadamard,
    PaddedIdentity,
    NoisyIdentity,
    Sinusoidal,
    FixedLengthRows,
    S4DReal,
    S4DLin,
    HippoLegS,
    ChronoBias,
    Sparse,
    Stored,
    Computed,
    MeanCompensation,
    Patched,
    PerChannel,
    Keep,
)
_TEXTS = frozenset({"weight"})


def law_to_record(law: Law) -> dict[str, Any]:
    """Turn a law into a dictionary of its kind and numbers.

    >>> law_to_record(Constant(0.5))
    {'kind': 'Constant', 'value': 0.5}
    """
    if isinstance(law, Stored | Computed):
        return {"kind": type(law).__name__} | law.record()
    if isinstance(law, Patched):
        patches = [
            {"region": [list(edge) for edge in region], "law": law_to_record(part)} for region, part in law.patches
        ]
        return {"kind": "Patched", "base": law_to_record(law.base), "patches": patches}
    if isinstance(law, PerChannel):
        parts = {"base": law_to_record(law.base), "factors": law_to_record(law.factors)}
        return {"kind": "PerChannel", **parts, "axis": law.axis}
    numbers = {f.name: getattr(law, f.name) for f in fields(law)}  # type: ignore[arg-type]
    # JSON has no infinity: an open side of a window is null
    finite = {name: None if value in (-math.inf, math.inf) else value for name, value in numbers.items()}
    return {"kind": type(law).__name__} | finite


def law_from_record(record: object) -> Law:
    """Make the law that a record describes; only the laws of this package can come out.

    Raises:
        PlanFileError: no such law, a missing or unknown number, a number out of range.
    """
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise PlanFileError(f"a law must be an object with a 'kind', got {record!r}")
    table = {kind.__name__: kind for kind in LAWS}
    numbers = {key: value for key, value in record.items() if key != "kind"}
    kind = table.get(record["kind"])
    if kind is None:
        raise PlanFileError(f"unknown law {record['kind']!r}; this version knows {', '.join(sorted(table))}")
    try:
        if kind is Patched:
            return _patched(numbers)
        if kind is PerChannel:
            return _per_channel(numbers)
        if issubclass(kind, Stored | Computed):
            return kind.from_record(numbers)
        return kind(**_numbers(kind, numbers))
    except ArgumentError as error:
        raise PlanFileError(f"law {kind.__name__}: {error}") from None


def _patched(record: dict[str, Any]) -> Patched:
    patches = record.get("patches")
    if set(record) != {"base", "patches"} or not isinstance(patches, list):
        raise PlanFileError(f"law Patched has a base and a list of patches, the file gives {sorted(record)}")
    if not all(isinstance(patch, dict) and set(patch) == {"region", "law"} for patch in patches):
        raise PlanFileError("each patch of a law Patched has a region and a law")
    pairs = tuple((patch["region"], law_from_record(patch["law"])) for patch in patches)
    return Patched(law_from_record(record["base"]), pairs)


def _per_channel(record: dict[str, Any]) -> PerChannel:
    if set(record) != {"base", "factors", "axis"}:
        raise PlanFileError(f"law PerChannel has a base, factors and an axis, the file gives {sorted(record)}")
    factors = law_from_record(record["factors"])
    if not isinstance(factors, Stored):
        raise PlanFileError(f"the factors of a law PerChannel are stored numbers, the file gives {factors!r}")
    return PerChannel(law_from_record(record["base"]), factors, record["axis"])


def _numbers(kind: type[Law], numbers: dict[str, Any]) -> dict[str, Any]:
    """Check that the arguments are all there and of the right kind; the constructor checks their range."""
    wanted = set(inspect.signature(kind).parameters)
    if set(numbers) != wanted:
        raise PlanFileError(f"law {kind.__name__} has the numbers {sorted(wanted)}, the file gives {sorted(numbers)}")
    open_sides = {"low": -math.inf, "high": math.inf} if kind is TruncatedNormal else {}
    numbers = {name: open_sides.get(name) if value is None else value for name, value in numbers.items()}
    for name, value in numbers.items():
        if name in _TEXTS:  # the constructor checks it
            continue
        is_flag = isinstance(getattr(kind, name, None), bool)
        if isinstance(value, bool) != is_flag or not isinstance(value, (bool, int, float)):
            raise PlanFileError(
                f"law {kind.__name__}: {name} must be a {'flag' if is_flag else 'number'}, got {value!r}"
            )
    return numbers
