"""Weights that hold the same random numbers under different names: layers cloned by deepcopy, shards drawn alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wellbegun.diagnosis.facts import Copies

if TYPE_CHECKING:
    import torch

BLOCK = 64
"""Elements that are compared at a time: shorter runs may be equal in types with few numbers, fp8 above all."""

_ENOUGH = 8
"""Different numbers that a block needs to count as random: constants and patterns repeat on purpose."""

_FEWEST_ROWS, _MOST_ROWS, _OFF = 8, 256, 0.05
"""Rows that can show a rule, rows that are looked at, and how far off a row may be, of its column's scale."""


def find_copies(parameters: Mapping[str, torch.Tensor]) -> tuple[Copies, ...]:
    """Return the sets of weights that start as copies of one another, and the pairs that share blocks of 64 elements.

    Weights of which a rule can make copies on purpose are no copies: constants, rows that repeat one another (tables of
    decay rates), rows that continue those before them (sines of the place), matrices of at most two different numbers
    (identities), and what is not trained.

    Args:
        parameters: the model's, each tensor once.
    """
    from wellbegun.diagnosis.bundle import each

    looked_at = [name for name, tensor in parameters.items() if _is_candidate(tensor)]
    marks = dict(zip(looked_at, each(_each_marks, [parameters[name] for name in looked_at]), strict=True))
    whole = [Copies(tuple(names)) for names in _alike(parameters, marks)]
    told = {name for copies in whole for name in copies.names}
    shared = _shared_blocks(parameters, {name: found for name, found in marks.items() if name not in told})
    return (*whole, *(Copies(pair, count) for pair, count in shared.items()))


def _is_candidate(tensor: torch.Tensor) -> bool:
    if tensor.ndim < 2 or not (tensor.requires_grad and tensor.is_floating_point()):
        return False
    return sum(size > 1 for size in tensor.shape) > 1


def _alike(parameters: Mapping[str, torch.Tensor], marks: Mapping[str, _Marks]) -> Iterator[list[str]]:
    """Names of random weights with equal values, in groups of two or more."""
    import torch

    candidates: dict[object, list[str]] = defaultdict(list)
    for name, found in marks.items():
        candidates[(parameters[name].shape, parameters[name].dtype, parameters[name].device, *found.start)].append(name)
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
    return not repeats and len(set(tensor.reshape(-1)[:looked_at].tolist())) > 2 and not _continues(rows)


def _continues(table: torch.Tensor) -> bool:
    """Whether each row follows from the two before it, as in tables of sines, ramps and decays.

    Of x[t] = sin(a t + b), x[t - 1] + x[t + 1] is 2 cos(a) x[t]: one factor for a whole column. Medians find it
    where single rows are left out for padding, and where a table for pictures begins a new line.
    """
    rows = table.double().flatten(1) if table.ndim > 1 else table.double().unsqueeze(1)
    if len(rows) < _FEWEST_ROWS:
        return False
    rows = rows[:_MOST_ROWS]
    beside, here = rows[:-2] + rows[2:], rows[1:-1]
    factors = (beside / here).nanmedian(0).values.nan_to_num()
    off = (beside - factors * here).abs().median(0).values
    return bool((off <= _OFF * rows.square().mean(0).sqrt()).all())


def _shared_blocks(parameters: Mapping[str, torch.Tensor], marks: Mapping[str, _Marks]) -> dict[tuple[str, str], int]:
    """Pairs of names, or a name with itself, with the number of blocks that they have in common.

    A block starts at each row and at each multiple of 64 within it: there the shards of rows and of columns begin.
    """
    named = [name for name in marks if len(marks[name].keys)]
    while named:
        pairs = _pairs({name: parameters[name].detach() for name in named}, [marks[name] for name in named])
        suspects = {name for pair in pairs for name in pair}
        patterns = {name for name in suspects if not _is_random(parameters[name].detach()[:BLOCK].float(), BLOCK)}
        if not patterns:
            return pairs
        named = [name for name in named if name not in patterns]
    return {}


def _pairs(tensors: Mapping[str, torch.Tensor], marks: Sequence[_Marks]) -> dict[tuple[str, str], int]:
    """Pairs of names of tensors, with the number of blocks that they have in common."""
    import torch

    varied = torch.cat([found.varied for found in marks]).nonzero().flatten()
    keys, order = torch.cat([found.keys for found in marks])[varied].sort(stable=True)
    equal = (keys[1:] == keys[:-1]).nonzero().flatten()
    if not len(equal):
        return {}
    named, counts = list(tensors), torch.tensor([len(found.keys) for found in marks])
    owner = torch.arange(len(named)).repeat_interleave(counts)[varied]
    place = varied - (counts.cumsum(0) - counts)[owner]
    pairs = torch.stack([owner[order[equal]], owner[order[equal + 1]]], 1)
    found_pairs, which, times = torch.unique(pairs, dim=0, return_inverse=True, return_counts=True)
    shared = {}
    for number, ((one, other), count) in enumerate(zip(found_pairs.tolist(), times.tolist(), strict=True)):
        some = equal[which == number][:_CHECKED]
        first, second = named[one], named[other]
        if number < _MOST_PAIRS and any(
            _same(_block(tensors[first], int(place[order[at]])), _block(tensors[second], int(place[order[at + 1]])))
            for at in some
        ):
            shared[first, second] = count
    return shared


_CHECKED, _MOST_PAIRS = 16, 64
"""Blocks of a pair that are compared number by number, and pairs that are looked at."""


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    few = one.float().tolist()
    return len(set(few)) >= _ENOUGH and one.dtype == other.dtype and few == other.float().tolist()


class _Marks(NamedTuple):
    """What tells a weight from others: first numbers, a number for each block, and which blocks are no constants."""

    start: list[float]
    keys: torch.Tensor
    varied: torch.Tensor


def _each_marks(stack: torch.Tensor) -> list[_Marks]:
    """Mark each of several weights of one shape: [weights, *shape]."""
    from wellbegun.diagnosis.measure import hashed

    number, size = len(stack), stack[0].numel()
    flat = stack.reshape(number, size)
    columns = size // stack.shape[1]
    # a block's first elements: as many as hold enough bits to tell random blocks apart
    few = max(4, 32 // stack.element_size() ** 2 * 2)
    if size < 2 * BLOCK:
        starts = flat[:, :0].unsqueeze(2)
    elif columns >= BLOCK:
        count = columns // BLOCK
        rows = flat.view(number, -1, columns)[:, :, : count * BLOCK]
        starts = rows.unfold(2, BLOCK, BLOCK)[..., :few].reshape(number, -1, few)
    else:
        starts = flat.unfold(1, BLOCK, columns)[..., :few]  # rows shorter than a block: one begins at each
    first = starts[..., :4].float()
    varied = (first != first[..., :1]).any(2)
    keys = hashed(starts.reshape(-1, starts.shape[2])).view(number, -1)
    return [_Marks(*found) for found in zip(flat[:, :16].double().tolist(), keys.cpu(), varied.cpu(), strict=True)]


def _block(tensor: torch.Tensor, place: int) -> torch.Tensor:
    """The block at that place in the order of the marks."""
    columns = tensor.numel() // len(tensor)
    row, at = divmod(place, max(1, columns // BLOCK))
    begin = row * columns + at * BLOCK
    return tensor.reshape(-1)[begin : begin + BLOCK]
