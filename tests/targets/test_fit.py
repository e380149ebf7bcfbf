"""Whether a plan fits: ties and parts that the user names."""

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ApplyError
from wellbegun.plans import Entry

TOP, BOTTOM, ALL = slice(0, 4), slice(4, 8), slice(None)


def tied_plan() -> wb.Plan:
    law = wb.Normal(std=1.0)
    entry = Entry("a", "parameter", (8, 8), "float32", "linear weight", repr(law), law, "a test", ties=("b",))
    return wb.Plan((entry,), 1, "test@1")


def holding(a: torch.Tensor, b: torch.Tensor | None = None) -> nn.Module:
    model = nn.Module()
    model.a = nn.Parameter(a)
    model.b = model.a if b is None else nn.Parameter(b)
    return model


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_tied_tensor_is_one_part_under_whichever_name_it_was_said(name: str) -> None:
    plan, model = tied_plan(), holding(torch.zeros(4, 8))
    done = wb.apply(plan, model, regions={name: (BOTTOM, ALL)})
    assert (done.written, done.tied, done.elements) == (1, 1, 32)
    assert model.a is model.b
    assert np.array_equal(model.a.detach().numpy(), wb.to_numpy(plan, "a")[4:])


def test_a_torn_tie_of_parts_is_tied_again() -> None:
    plan, model = tied_plan(), holding(torch.zeros(4, 8), torch.zeros(4, 8))
    wb.apply(plan, model, regions={"a": (BOTTOM, ALL), "b": (BOTTOM, ALL)})
    assert model.a is model.b


def test_a_whole_tensor_is_not_tied_to_a_part_of_it() -> None:
    model = holding(torch.zeros(4, 8), torch.zeros(8, 8))
    with pytest.raises(ApplyError, match="a: b is tied to it, but of another shape"):
        wb.apply(tied_plan(), model, regions={"a": (TOP, ALL)})
    assert model.b.shape == (8, 8)
    assert not model.a.any()


def test_two_parts_of_a_tied_tensor_are_refused() -> None:
    model = holding(torch.zeros(4, 8), torch.zeros(4, 8))
    with pytest.raises(ApplyError, match="b is tied to it, but `regions` names another part"):
        wb.apply(tied_plan(), model, regions={"a": (TOP, ALL), "b": (BOTTOM, ALL)})
    assert not model.a.any()
    assert model.a is not model.b
