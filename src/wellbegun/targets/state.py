"""The tensors of a model by their canonical names, and where each of them is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wellbegun.authors.active import check_not_recording
from wellbegun.errors import ArgumentError, closest_names, join_names
from wellbegun.graph.framework import check_module
from wellbegun.graph.names import canonical_names
from wellbegun.targets.fsdp import check_not_flat, managed_parameters
from wellbegun.targets.parts import Part, logical_shape, parts_of, told_runs

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
        regions: {canonical name: slices} of tensors that are parts of what is planned.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        purpose: str,
        names: Mapping[str, str] | None = None,
        regions: Mapping[str, tuple[slice, ...]] | None = None,
    ) -> None:
        """Look a model through.

        Args:
            model: that the tensors are in.
            purpose: for error messages.
            names: {name of a module or tensor in the model: its name in the plan}, where they differ.
            regions: {name: slices}, where an ordinary tensor is a part of the planned one.

        Raises:
            ArgumentError: no model; or `names` or `regions` name what is not there.
            ApplyError: FSDP1 holds it in flat pieces.
        """
        check_not_recording(purpose)
        inside = check_module(model, purpose)
        check_not_flat(model, purpose)
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
        if names:
            self._rename(names)
        self.regions = {name: regions[given[0]] for name, given in self.resolve(regions).items()} if regions else {}
        self._managed = managed_parameters(inside)
        self._names: dict[int, list[str]] = {}
        for name, slot in self.slots.items():
            self._names.setdefault(id(slot.tensor), []).append(name)
        for name, told in list(self.regions.items()):  # one tensor is one part, under whichever name it was said
            for other in self.names_of(name):
                self.regions.setdefault(other, told)

    def _rename(self, names: Mapping[str, str]) -> None:
        used: set[str] = set()
        renamed: dict[str, str] = {}
        for name in self.slots:
            renamed[name], longest = new_name(name, names)
            used |= {longest} if longest is not None else set()
        unused = [given for given in names if given not in used]
        if unused or len(set(renamed.values())) < len(renamed):
            twice = sorted({new for new in renamed.values() if list(renamed.values()).count(new) > 1})
            what = f"name nothing in it: {join_names(unused)}" if unused else f"give two tensors one name: {twice}"
            raise ArgumentError(f"`names` must map modules or tensors of the model to names of the plan; they {what}")
        self.slots = {renamed[name]: slot for name, slot in self.slots.items()}
        self._canonical = {actual: renamed.get(short, short) for actual, short in self._canonical.items()}

    def parts(self, name: str, shape: tuple[int, ...]) -> tuple[Part, ...]:
        """Return what this process holds of a planned tensor.

        Args:
            name: canonical.
            shape: of the planned tensor.

        Raises:
            ArgumentError: it cannot be known where the parts lie.
        """
        tensor, told = self.tensor(name), self.regions.get(name)
        return parts_of(tensor, None if told is None else told_runs(told, shape, logical_shape(tensor)))

    def tensor(self, name: str) -> torch.Tensor:
        """Return the tensor of a canonical name."""
        return self.slots[name].tensor

    def is_gathered(self, name: str) -> bool:
        """Whether FSDP2 has put something that is made of the shards in their place."""
        slot = self.slots[name]
        managed = self._managed.get((id(slot.module), slot.attribute))
        return managed is not None and managed.is_gathered

    def put(self, slot: Slot, tensor: torch.Tensor) -> None:
        """Put another tensor into a slot, and tell FSDP2 so."""
        slot.put(tensor)
        managed = self._managed.get((id(slot.module), slot.attribute))
        if managed is not None:
            managed.read_again()

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


def new_name(name: str, names: Mapping[str, str]) -> tuple[str, str | None]:
    """Return a tensor's name in a plan, and the one of `names` that decides it, None where none does.

    >>> new_name("0.up.weight", {"0": "layers.4"})
    ('layers.4.up.weight', '0')
    """
    fitting = [given for given in names if name == given or name.startswith(f"{given}." if given else "")]
    longest = max(fitting, key=len, default=None)
    if longest is None:
        return name, None
    return ".".join(part for part in (names[longest], name[len(longest) :].removeprefix(".")) if part), longest
