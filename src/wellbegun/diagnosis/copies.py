"""Weights that hold the same random numbers under different names: layers cloned by deepcopy, shards drawn alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wellbegun.diagnosis.facts import Finding

if TYPE_CHECKING:
    import torch

_SHOWN = 3
_REMEDY = "give each weight numbers of its own: wb.initialize does, as it draws by name"


def find_copies(parameters: Mapping[str, torch.Tensor]) -> list[Finding]:
    """Return a finding for each set of layers, and of single weights, that start as copies of one another.

    Weights of which a rule can make copies on purpose are no copies: constants, rows that repeat one another (tables of
    decay rates), matrices of at most two different numbers (identities), and what is not trained.

    Args:
        parameters: the model's, each tensor once.
    """
    layers: dict[tuple[str, ...], list[str]] = defaultdict(list)
    single: list[list[str]] = []
    for names in _alike(parameters):
        split = _layers(names)
        if split is None:
            single.append(names)
        else:
            layers[split[0]].append(split[1])
    found = []
    for where, weights in layers.items():
        many = f"{where[0]} to {where[-1]}" if len(where) > _SHOWN else " and ".join(where)
        message = f"{len(where)} identical layers ({many}): the same numbers in {_some(weights)}"
        found.append(Finding("copies", "warning", where[0], message, _REMEDY))
    for names in single:
        message = f"{len(names)} weights hold the same numbers: {_some(names)}"
        found.append(Finding("copies", "warning", names[0], message, _REMEDY))
    return found


def _alike(parameters: Mapping[str, torch.Tensor]) -> Iterator[list[str]]:
    """Names of random weights with equal values, in groups of two or more."""
    import torch

    candidates: dict[object, list[str]] = defaultdict(list)
    for name, tensor in parameters.items():
        if tensor.requires_grad and sum(size > 1 for size in tensor.shape) > 1 and tensor.is_floating_point():
            few = tensor.detach().reshape(-1)[:16].double().tolist()
            candidates[tuple(tensor.shape), tensor.dtype, tensor.device, *few].append(name)
    for names in candidates.values():
        while len(names) > 1:
            first = parameters[names[0]].detach()
            equal = [name for name in names if torch.equal(first, parameters[name].detach())]
            if len(equal) > 1 and _is_random(first):
                yield equal
            names = [name for name in names[1:] if name not in equal]


def _is_random(tensor: torch.Tensor) -> bool:
    rows = tensor.squeeze()
    repeats = any(bool((rows == rows.select(axis, 0).unsqueeze(axis)).all()) for axis in range(rows.ndim))
    return not repeats and len(set(tensor.reshape(-1)[:4096].tolist())) > 2


def _layers(names: list[str]) -> tuple[tuple[str, ...], str] | None:
    """The layers that names belong to, and what the weight is called in each; None if they differ otherwise."""
    parts = [name.split(".") for name in names]
    if len({len(part) for part in parts}) > 1:
        return None
    differ = [place for place, column in enumerate(zip(*parts, strict=True)) if len(set(column)) > 1]
    if len(differ) != 1 or differ[0] == len(parts[0]) - 1:
        return None
    end = differ[0] + 1
    return tuple(".".join(part[:end]) for part in parts), ".".join(parts[0][end:])


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
