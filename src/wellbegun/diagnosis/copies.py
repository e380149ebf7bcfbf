"""Weights that hold the same random numbers under different names: layers cloned by deepcopy, shards drawn alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wellbegun.diagnosis.facts import Copies

if TYPE_CHECKING:
    import torch

BLOCK = 64
"""Elements that are compared at a time: shorter runs may be equal in types with few numbers, fp8 above all."""

_ENOUGH = 8
"""Different numbers that a block needs to count as random: constants and patterns repeat on purpose."""


def find_copies(parameters: Mapping[str, torch.Tensor]) -> tuple[Copies, ...]:
    """Return the sets of weights that start as copies of one another, and the pairs that share blocks of 64 elements.

    Weights of which a rule can make copies on purpose are no copies: constants, rows that repeat one another (tables of
    decay rates), matrices of at most two different numbers (identities), and what is not trained.

    Args:
        parameters: the model's, each tensor once.
    """
    whole = [Copies(tuple(names)) for names in _alike(parameters)]
    told = {name for copies in whole for name in copies.names}
    shared = _shared_blocks({name: p for name, p in parameters.items() if name not in told and _is_candidate(p)})
    parts = [Copies(pair, count) for pair, count in shared.items()]
    return (*whole, *parts)


def _is_candidate(tensor: torch.Tensor) -> bool:
    return tensor.requires_grad and sum(size > 1 for size in tensor.shape) > 1 and tensor.is_floating_point()


def _alike(parameters: Mapping[str, torch.Tensor]) -> Iterator[list[str]]:
    """Names of random weights with equal values, in groups of two or more."""
    import torch

    candidates: dict[object, list[str]] = defaultdict(list)
    for name, tensor in parameters.items():
        if _is_candidate(tensor):
            few = tensor.detach().reshape(-1)[:16].double().tolist()
            candidates[tuple(tensor.shape), tensor.dtype, tensor.device, *few].append(name)
    for names in candidates.values():
        while len(names) > 1:
            first = parameters[names[0]].detach()
            equal = [name for name in names if torch.equal(first, parameters[name].detach())]
            if len(equal) > 1 and _is_random(first):
                yield equal
            names = [name for name in names[1:] if name not in equal]


def _is_random(tensor: torch.Tensor, looked_at: int = 4096) -> bool:
    rows = tensor.squeeze()
    repeats = any(bool((rows == rows.select(axis, 0).unsqueeze(axis)).all()) for axis in range(rows.ndim))
    return not repeats and len(set(tensor.reshape(-1)[:looked_at].tolist())) > 2


def _shared_blocks(parameters: Mapping[str, torch.Tensor]) -> dict[tuple[str, str], int]:
    """Pairs of names, or a name with itself, with the number of blocks that they have in common.

    A block starts at each row and at each multiple of 64 within it: there the shards of rows and of columns begin.
    """
    import torch

    named, blocks, keys, owners, places = list(parameters), [], [], [], []
    for number, name in enumerate(named):
        found = _blocks(parameters[name].detach())
        blocks.append(found)
        if found is not None and len(found):
            start = found[:, :4].float()
            varied = (start != start[:, :1]).any(1).nonzero().flatten()  # no zeros and no constants
            keys.append(_keys(found)[varied].cpu())
            owners.append(torch.full((len(varied),), number))
            places.append(varied.cpu())
    if not keys:
        return {}
    key, owner, place = torch.cat(keys), torch.cat(owners), torch.cat(places)
    order = key.argsort(stable=True)
    equal = (key[order][1:] == key[order][:-1]).nonzero().flatten()
    pairs = torch.stack([owner[order[equal]], owner[order[equal + 1]]], 1)
    found_pairs, which, counts = torch.unique(pairs, dim=0, return_inverse=True, return_counts=True)
    shared = {}
    for number, ((first, second), count) in enumerate(zip(found_pairs.tolist(), counts.tolist(), strict=True)):
        some = equal[which == number][:_CHECKED]
        if number < _MOST_PAIRS and any(
            _same(blocks[first][place[order[at]]], blocks[second][place[order[at + 1]]]) for at in some
        ):
            shared[named[first], named[second]] = count
    return shared


_CHECKED, _MOST_PAIRS = 16, 64
"""Blocks of a pair that are compared number by number, and pairs that are looked at."""


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    few = one.float().tolist()
    return len(set(few)) >= _ENOUGH and one.dtype == other.dtype and few == other.float().tolist()


def _blocks(tensor: torch.Tensor) -> torch.Tensor | None:
    """A view, or for rows shorter than a block a strided view, of [blocks, 64] elements; None if there are no two."""
    if tensor.numel() < 2 * BLOCK or not _is_random(tensor[:BLOCK].float(), BLOCK):
        return None
    tensor = tensor.contiguous()
    columns = tensor.numel() // len(tensor)
    if columns >= BLOCK:
        return tensor.view(len(tensor), columns)[:, : columns // BLOCK * BLOCK].reshape(-1, BLOCK)
    count = (tensor.numel() - BLOCK) // columns + 1
    starts: torch.Tensor = tensor.view(-1).as_strided((count, BLOCK), (columns, 1), tensor.storage_offset())
    return starts


def _keys(blocks: torch.Tensor) -> torch.Tensor:
    """A number for each block, from its first elements: as many as hold enough bits to tell random blocks apart."""
    from wellbegun.diagnosis.measure import hashed

    return hashed(blocks[:, : max(4, 32 // blocks.element_size() ** 2 * 2)])
