"""Asking the other processes: the one place that communicates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any


def world_size(group: Any = None) -> int:
    """How many processes answer."""
    import torch.distributed as processes

    return processes.get_world_size(group) if processes.is_available() and processes.is_initialized() else 1


def exchanged(answer: Any, group: Any = None) -> dict[int, Any]:
    """Return {rank in the whole world: answer} of all processes of a group; this one's alone if there are no others."""
    import torch.distributed as processes

    if not (processes.is_available() and processes.is_initialized()):
        return {0: answer}
    answers: list[Any] = [None] * processes.get_world_size(group)
    processes.all_gather_object(answers, answer, group=group)
    ranks = processes.get_process_group_ranks(group if group is not None else processes.group.WORLD)
    return dict(zip(ranks, answers, strict=True))


def summed(tensor: Any, group: Any = None) -> Any:
    """Return the sum of a tensor over all processes of a group, in the place of the one that is given."""
    import torch.distributed as processes

    if world_size(group) > 1:
        processes.all_reduce(tensor, group=group)
    return tensor


def differing(held: Mapping[int, dict[str, str]]) -> dict[str, tuple[int, ...]]:
    """Return {place: the processes whose digest there is not the most frequent one}, for places that several hold.

    >>> differing({0: {"w": "a"}, 1: {"w": "a"}, 2: {"w": "b"}})
    {'w': (2,)}
    """
    by_place: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for rank, places in held.items():
        for place, digest in places.items():
            by_place[place].append((rank, digest))
    found = {}
    for place, digests in by_place.items():
        usual = Counter(digest for _, digest in digests).most_common(1)[0][0]
        wrong = tuple(rank for rank, digest in digests if digest != usual)
        if wrong:
            found[place] = wrong
    return found
