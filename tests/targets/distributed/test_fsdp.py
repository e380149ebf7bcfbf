"""What FSDP2 does to a model between its construction and its second step."""

from __future__ import annotations

from collections.abc import Callable

from .world import World

Worlds = Callable[[int], World]


def test_shards_of_a_part_that_the_user_names(worlds: Worlds) -> None:
    """Tensor parallelism by hand, and FSDP2 over each of its parts."""
    for answer in worlds(2).run("part_sharded"):
        assert answer == {"equal": True, "elements": 2 * 5, "verified": True}
