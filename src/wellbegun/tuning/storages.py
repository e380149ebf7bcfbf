"""Which parameter a tensor of the forward pass is made of: views share its storage, copies are known by theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch.multiprocessing.reductions import StorageWeakRef


class Storages:
    """Storages that hold a parameter's values, the parameter's own and those of copies, while they live.

    A storage is held by a weak reference, which keeps its address from being used again, and not its memory.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._owner: dict[int, tuple[StorageWeakRef, str, torch.dtype]] = {}
        for name, tensor in tensors.items():
            self.add(tensor, name)

    def add(self, tensor: torch.Tensor, name: str) -> None:
        """Remember that the whole storage of a tensor holds values of a parameter."""
        reference = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        self._owner[reference.cdata] = (reference, name, tensor.dtype)

    def owner(self, tensor: torch.Tensor) -> str | None:
        """Name of the parameter that a tensor holds values of."""
        found = self._owner.get(tensor.untyped_storage()._cdata)
        return None if found is None or found[0].expired() else found[1]  # type: ignore[no-untyped-call]

    def alive(self, name: str) -> Iterator[torch.Tensor]:
        """Each storage that holds the parameter's values, as a flat tensor."""
        for reference, owner, dtype in self._owner.values():
            if owner == name:
                storage = torch.UntypedStorage._new_with_weak_ptr(reference.cdata)
                if storage is not None:
                    yield torch.empty(0, dtype=dtype, device=storage.device).set_(storage)


class LastProducts:
    """Results of first products, by their storage: a bias that is added in a step of its own finds its product."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[StorageWeakRef, str, int]] = {}

    def add(self, tensor: torch.Tensor, name: str) -> None:
        """Remember that a tensor is the product with a weight."""
        reference = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        self._made[reference.cdata] = (reference, name, tensor.numel())

    def take(self, tensor: torch.Tensor) -> str | None:
        """Name of the weight whose whole product a tensor is (a view of), the first time that this is asked."""
        key = tensor.untyped_storage()._cdata
        found = self._made.get(key)
        if found is None or found[0].expired() or found[2] != tensor.numel():  # type: ignore[no-untyped-call]
            return None
        del self._made[key]
        return found[1]
