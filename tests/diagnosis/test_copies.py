"""Which equal weights are copies, and which are made by one rule on purpose."""

from __future__ import annotations

import math

import pytest
import torch

from wellbegun.diagnosis.copies import find_copies


def _waves(places: int, width: int) -> torch.Tensor:
    """The fixed table of Vaswani et al. 2017, sines in the first half and cosines in the second."""
    speeds = torch.exp(torch.arange(width // 2) * -(math.log(10000) / (width // 2 - 1)))
    angles = torch.arange(places)[:, None] * speeds
    return torch.cat([angles.sin(), angles.cos()], 1)


def _with_padding(table: torch.Tensor) -> torch.Tensor:
    """A row of zeros for the place that stands for padding, as transformers' FSMT has it."""
    table = table.clone()
    table[1] = 0
    return table


def _in_turns(table: torch.Tensor) -> torch.Tensor:
    """A sine, a cosine, a sine, ..."""
    return torch.stack(table.chunk(2, 1), 2).flatten(1)


def _grid(table: torch.Tensor) -> torch.Tensor:
    """The places of a picture, one row of the table for its line and one for its column: [1, side², 2 width]."""
    side = len(table)
    return torch.cat([table.repeat_interleave(side, 0), table.repeat(side, 1)], 1)[None]


TABLES = {
    "halves": _waves(128, 64),
    "with padding": _with_padding(_waves(128, 64)),
    "in turns": _in_turns(_waves(128, 64)),
    "long": _waves(4096, 64),
    "bfloat16": _waves(128, 64).bfloat16(),
    "grid": _grid(_waves(14, 32)),
    "ramps": torch.arange(16.0)[:, None] * torch.arange(1.0, 65.0),
    "decays": torch.exp(-torch.arange(16.0)[:, None] * torch.linspace(0.1, 1, 64)),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_a_rule_fills_may_be_equal(name: str) -> None:
    one, other = (torch.nn.Parameter(TABLES[name].clone()) for _ in "ab")
    assert find_copies({"encoder.places": one, "decoder.places": other}) == ()


def test_tables_of_two_lengths_share_their_first_rows_on_purpose() -> None:
    tables = {"encoder.places": _waves(128, 64), "decoder.places": _waves(96, 64)}
    assert find_copies({name: torch.nn.Parameter(table) for name, table in tables.items()}) == ()


@pytest.mark.parametrize("shape", [(4, 64), (8, 64), (128, 64), (64, 3, 3, 3), (1, 196, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_random_weights_that_are_equal_are_copies(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    (found,) = find_copies({name: torch.nn.Parameter(drawn.clone()) for name in ("one", "other")})
    assert found.names == ("one", "other")
    assert found.blocks == 0


def test_a_random_table_beside_waves_is_still_found() -> None:
    """Half of the columns follow a rule: the other half are random numbers that two weights share."""
    mixed = torch.cat([_waves(128, 32), torch.randn(128, 32, generator=torch.Generator().manual_seed(0))], 1)
    (found,) = find_copies({name: torch.nn.Parameter(mixed.clone()) for name in ("one", "other")})
    assert found.names == ("one", "other")
