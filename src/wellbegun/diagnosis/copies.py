"""Weights that hold the same random numbers under different names: layers cloned by deepcopy, shards drawn alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
    kinds: dict[object, list[str]] = defaultdict(list)
    for name, tensor in parameters.items():
        if _is_candidate(tensor):
            kinds[tensor.shape, tensor.dtype, tensor.device].append(name)
    for kind, names in kinds.items():
        starts = torch.stack([parameters[name].detach().reshape(-1)[:16] for name in names]).double().tolist()
        for name, start in zip(names, starts if len(names) > 1 else (), strict=False):
            candidates[kind, *start].append(name)
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

    named = [name for name, tensor in parameters.items() if tensor.numel() >= 2 * BLOCK]
    blocks = [_blocks(parameters[name].detach()) for name in named]
    while named:
        pairs = _pairs(blocks)
        suspects = {number for pair in pairs for number in pair}
        random = {number for number in suspects if _is_random(parameters[named[number]].detach()[:BLOCK].float(), BLOCK)}
        if random == suspects:
            return {(named[one], named[other]): count for (one, other), count in pairs.items()}
        kept = [number for number in range(len(named)) if number in random or number not in suspects]
        named, blocks = [named[number] for number in kept], [blocks[number] for number in kept]
    return {}


def _pairs(blocks: Sequence[torch.Tensor]) -> dict[tuple[int, int], int]:
    """Pairs of numbers of tensors, with the number of blocks that they have in common."""
    import torch

    found = list(_keys(blocks))
    key, owner, place = (torch.cat(part) for part in zip(*found, strict=True))
    order = key.argsort(stable=True)
    equal = (key[order][1:] == key[order][:-1]).nonzero().flatten()
    if not len(equal):
        return {}
    pairs = torch.stack([owner[order[equal]], owner[order[equal + 1]]], 1)
    found_pairs, which, counts = torch.unique(pairs, dim=0, return_inverse=True, return_counts=True)
    shared = {}
    for number, ((first, second), count) in enumerate(zip(found_pairs.tolist(), counts.tolist(), strict=True)):
        some = equal[which == number][:_CHECKED]
        if number < _MOST_PAIRS and any(
            _same(_block(blocks[first], place[order[at]]), _block(blocks[second], place[order[at + 1]])) for at in some
        ):
            shared[first, second] = count
    return shared


_CHECKED, _MOST_PAIRS = 16, 64
"""Blocks of a pair that are compared number by number, and pairs that are looked at."""

_AT_ONCE = 1 << 13
"""Blocks that get their numbers at a time."""


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    few = one.float().tolist()
    return len(set(few)) >= _ENOUGH and one.dtype == other.dtype and few == other.float().tolist()


def _blocks(tensor: torch.Tensor) -> torch.Tensor:
    """A view of [rows, blocks in a row, 64] elements; for rows shorter than a block, of the blocks that start at each."""
    tensor = tensor.contiguous()
    columns = tensor.numel() // len(tensor)
    if columns >= BLOCK:
        count = columns // BLOCK
        return tensor.view(len(tensor), columns)[:, : count * BLOCK].unflatten(1, (count, BLOCK))
    rows = (tensor.numel() - BLOCK) // columns + 1
    starts: torch.Tensor = tensor.view(-1).as_strided((rows, 1, BLOCK), (columns, BLOCK, 1), tensor.storage_offset())
    return starts


def _block(blocks: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    return blocks[place // blocks.shape[1], place % blocks.shape[1]]


def _keys(blocks: Sequence[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """A number for each block that is neither zero nor constant, its tensor's number and its place, many at a time.

    The number is made of the block's first elements: as many as hold enough bits to tell random blocks apart.
    """
    import torch

    from wellbegun.diagnosis.measure import hashed

    kinds: dict[object, list[int]] = defaultdict(list)
    for number, found in enumerate(blocks):
        kinds[found.dtype, found.device].append(number)
    for numbers in (some for kind in kinds.values() for some in _portions(kind, blocks)):
        size = max(4, 32 // blocks[numbers[0]].element_size() ** 2 * 2)
        starts = [blocks[number][:, :, :size].reshape(-1, size) for number in numbers]
        few = torch.cat(starts)
        first = few[:, :4].float()
        varied = (first != first[:, :1]).any(1).nonzero().flatten()
        counts = torch.tensor([len(start) for start in starts], device=few.device)
        tensors = torch.arange(len(numbers), device=few.device).repeat_interleave(counts)
        places = torch.arange(len(few), device=few.device) - (counts.cumsum(0) - counts)[tensors]
        owners = torch.tensor(numbers, device=few.device)[tensors]
        yield hashed(few[varied]).cpu(), owners[varied].cpu(), places[varied].cpu()


def _portions(numbers: Sequence[int], blocks: Sequence[torch.Tensor]) -> Iterator[list[int]]:
    """Tensors that have some thousands of blocks together, or one that has more."""
    portion: list[int] = []
    held = 0
    for number in numbers:
        count = blocks[number].shape[0] * blocks[number].shape[1]
        if portion and held + count > _AT_ONCE:
            yield portion
            portion, held = [], 0
        portion.append(number)
        held += count
    yield portion
