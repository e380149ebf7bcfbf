"""What FSDP2 does to a model between its construction and its second step."""

from __future__ import annotations

from collections.abc import Callable

from .world import World

Worlds = Callable[[int], World]


def test_shards_of_a_part_that_the_user_names(worlds: Worlds) -> None:
    """Tensor parallelism by hand, and FSDP2 over each of its parts."""
    for answer in worlds(2).run("part_sharded"):
        assert answer == {"equal": True, "elements": 2 * 5, "verified": True}


def test_a_gathered_model_is_not_written_and_says_what_to_do(worlds: Worlds) -> None:
    for answer in worlds(2).run("gathered_now"):
        assert "0.weight: is gathered by FSDP2 now" in answer["refused"]
        assert ".reshard()" in answer["refused"]
        assert answer["kinds"] == ["layout"] * 4
        assert answer["equal"]
        assert answer["trains"]


def test_memory_that_comes_after_a_first_pass_is_the_memory_that_is_used(worlds: Worlds) -> None:
    for answer in worlds(2).run("emptied"):
        assert answer == {"equal": True, "output": True}
