"""Notes about tensors: found by identity, gone with the tensor."""

from __future__ import annotations

import gc
import weakref

import torch

from wellbegun.diagnosis.by_tensor import ByTensor


def test_notes_are_by_identity_and_not_by_value() -> None:
    notes: ByTensor[str] = ByTensor()
    one, other = torch.ones(3), torch.ones(3)
    notes[one] = "one"
    assert (notes.get(one), notes.get(other), notes.get(one.view(3))) == ("one", None, None)
    assert notes.first([other, one]) == "one"
    notes.pop(one)
    notes.pop(other)
    assert notes.get(one) is None
    assert notes.first([one, other]) is None


def test_a_note_does_not_hold_its_tensor_and_is_not_taken_for_another_ones() -> None:
    """Thousands of short-lived tensors share few ids; none of them may find what another one left."""
    notes: ByTensor[int] = ByTensor()
    ids = set()
    for number in range(2000):
        tensor = torch.zeros(1)
        assert notes.get(tensor) is None
        notes[tensor] = number
        ids.add(id(tensor))
        gone = weakref.ref(tensor)
        del tensor
    gc.collect()
    assert gone() is None
    assert len(ids) < 2000


def test_a_tensor_that_autograd_alone_holds_keeps_its_note() -> None:
    notes: ByTensor[str] = ByTensor()
    leaf = torch.ones(3, requires_grad=True)
    result = leaf.exp()
    notes[result] = "kept"
    product = result * leaf  # its backward pass needs the result
    del result
    gc.collect()
    assert product.grad_fn is not None
    assert notes.get(product.grad_fn._saved_self) == "kept"
