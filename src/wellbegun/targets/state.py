"""The tensors of a model by their canonical names, and where each of them is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wellbegun.errors import ArgumentError, closest_names, join_names
from wellbegun.graph.framework import check_module
from wellbegun.graph.names import canonical_names

if TYPE_CHECKING:
    import torch

    from wellbegun.graph.parametrised import Parametrised


@dataclass(frozen=True)
class Slot:
    """Where a model holds a tensor.

    Attributes:
        module, attribute: the tensor is the module's parameter or buffer of this name.
        weight: the parametrised weight that is computed from the tensor, and for which the tensor stands here.
    """

    module: torch.nn.Module
    attribute: str
    weight: Parametrised | None = None

    @property
    def tensor(self) -> torch.Tensor:
        """The tensor that is there now."""
        found: torch.Tensor = getattr(self.module, self.attribute)
        return found

    def put(self, tensor: torch.Tensor) -> None:
        """Put another tensor there; recurrent layers keep a list of their weights up to date by themselves."""
        setattr(self.module, self.attribute, tensor)

    def slots(self) -> Iterator[Slot]:
        """This slot, and those of the other tensors that a parametrised weight is computed from."""
        yield self
        for carrier in self.weight.carriers[1:] if self.weight else ():
            path, _, attribute = carrier.rpartition(".")
            assert self.weight is not None
            yield Slot(self.weight.module.get_submodule(path), attribute)


class State:
    """The parameters and buffers of a model, wrappers looked through, a parametrised weight as one tensor.

    Attributes:
        slots: {canonical name: where the tensor is held}, every name of a tied tensor.
    """

    def __init__(self, model: torch.nn.Module, purpose: str) -> None:
        inside = check_module(model, purpose)
        from wellbegun.graph.parametrised import find_parametrised

        self.slots: dict[str, Slot] = {}
        self._canonical = canonical_names(inside)
        computed = {
            weight.path + carrier: weight for weight in find_parametrised(inside) for carrier in weight.carriers
        }
        for actual, short in list(self._canonical.items()):
            path, _, attribute = actual.rpartition(".")
            name, weight = short, computed.get(actual)
            if weight is not None:
                carrier = actual.removeprefix(weight.path)
                name = short.removesuffix(carrier) + weight.name
                self._canonical |= {actual: name, short: name, weight.path + weight.name: name}
                if carrier != weight.carriers[0]:
                    continue
            self.slots[name] = Slot(inside.get_submodule(path), attribute, weight)
        whole = canonical_names(model) if inside is not model else {}
        for actual, short in whole.items():  # the names that a wrapper around the model gives
            self._canonical.setdefault(actual, self._canonical.get(short, short))
        self._names: dict[int, list[str]] = {}
        for name, slot in self.slots.items():
            self._names.setdefault(id(slot.tensor), []).append(name)

    def tensor(self, name: str) -> torch.Tensor:
        """Return the tensor of a canonical name."""
        return self.slots[name].tensor

    def names_of(self, name: str) -> list[str]:
        """Return all names of the tensor that a canonical name stands for."""
        return self._names[id(self.tensor(name))]

    def resolve(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Return {canonical name: the names that were given for it}.

        Raises:
            ArgumentError: a name is unknown; the closest ones are offered.
        """
        if isinstance(names, str):
            raise ArgumentError(f"names must be a list or set of names, got one text: [{names!r}]?")
        found: dict[str, list[str]] = {}
        unknown = []
        for given in names:
            name = self._canonical.get(given, given) if isinstance(given, str) else None
            if name is None or name not in self.slots:
                near = closest_names(str(given), self.slots)
                unknown.append(f"  {given!r}" + (f": did you mean {join_names(near)}?" if near else ""))
            else:
                found.setdefault(name, []).append(given)
        if unknown:
            raise ArgumentError("the model has no tensors of these names:\n" + "\n".join(unknown))
        return found
