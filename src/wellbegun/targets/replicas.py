"""Asking the other processes: the one place of the targets that communicates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any


def exchanged(answer: Any, group: Any = None) -> list[Any]:
    """Return the answers of all processes, in the order of their ranks; this one's alone where there are no others."""
    import torch.distributed as processes

    if not (processes.is_available() and processes.is_initialized()):
        return [answer]
    answers: list[Any] = [None] * processes.get_world_size(group)
    processes.all_gather_object(answers, answer, group=group)
    return answers


def differing(held: Sequence[dict[str, str]]) -> dict[str, tuple[int, ...]]:
    """Return {place: the processes whose digest there is not the most frequent one}, for places that several hold.

    >>> differing([{"w": "a"}, {"w": "a"}, {"w": "b"}])
    {'w': (2,)}
    """
    by_place: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for rank, places in enumerate(held):
        for place, digest in places.items():
            by_place[place].append((rank, digest))
    found = {}
    for place, digests in by_place.items():
        usual = Counter(digest for _, digest in digests).most_common(1)[0][0]
        wrong = tuple(rank for rank, digest in digests if digest != usual)
        if wrong:
            found[place] = wrong
    return found
