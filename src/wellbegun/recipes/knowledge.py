"""What is known of a model besides its graph: what its own code puts into its tensors, and what they hold now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wellbegun.authors import (
    Authored,
    Authorship,
    initialises_itself,
    record_construction,
    record_initialisation,
    recorded,
)
from wellbegun.graph.framework import check_module
from wellbegun.graph.names import canonical_names
from wellbegun.laws import Constant

if TYPE_CHECKING:
    import torch

    from wellbegun.graph.graph import Graph


class Knowledge:
    """A model with the record of its author's code, made when somebody asks for it.

    Attributes:
        model: the model, built if a factory was given, without wrappers that hide it.
    """

    def __init__(self, model: torch.nn.Module, authored: Authored | None, seed: int, function: Any = None) -> None:
        self.model = model
        self._authored, self._seed, self._function = authored, seed, function
        self._standing: dict[str, Authorship] | None = None
        self.is_complete = False

    @classmethod
    def of(cls, model: object, seed: int, function: Callable[[Any], object] | None = None) -> Knowledge:
        """Take a model, or build it from a factory under the recorder.

        Args:
            model: a torch.nn.Module or a function without arguments that builds one.
            seed: of tensors that no law describes.
            function: initialises the model after its own code.
        """
        import torch

        if not isinstance(model, torch.nn.Module) and callable(model):
            built, authored = record_construction(model, seed)
            return cls(built, authored, seed, function)
        module = check_module(model, "planning")
        return cls(module, recorded(module), seed, function)

    def of_graph(self, graph: Graph, complete: bool) -> Mapping[str, Authorship]:
        """Return what is known of each tensor of a graph, by canonical name.

        Args:
            graph: of the model.
            complete: run the code that initialises the model, where no record of it is there. That is done anyway
                where classes of the model's own bring such code along.
        """
        if not self.is_complete and (complete or (self._authored is None and initialises_itself(self.model))):
            known: Mapping[str, Authorship] = self._authored or {}
            names = [name for name, _ in (*self.model.named_parameters(), *self.model.named_buffers())]
            seen = all(name in known and known[name].law is not None for name in names)
            if self._function is not None or not seen:
                self._authored = record_initialisation(self.model, self._function, self._seed)
            self.is_complete = True
        if self._standing is None:
            self._standing = _standing(self.model)
        author = {name: a for name, a in self._named().items() if a.law is not None}
        known_of = self._standing | author
        # a weight under weight_norm and its like has the law of the tensor that carries it
        known_of |= {v.name: known_of[v.carrier] for v in graph.variables if v.carrier in known_of}
        wanted = {variable.name for variable in graph.variables}
        return {name: a for name, a in known_of.items() if name in wanted}

    def why(self, name: str) -> str:
        """Say why the author's code gives a tensor no value, "" if it does or nobody has looked."""
        found = self._named().get(name)
        return found.note if found is not None and found.law is None else ""

    def _named(self) -> dict[str, Authorship]:
        if self._authored is None:
            return {}
        canonical = canonical_names(self.model)
        return {canonical.get(name, name): authorship for name, authorship in self._authored.items()}


def _standing(model: torch.nn.Module) -> dict[str, Authorship]:
    """Parameters that hold one number everywhere: no random law does, so somebody has put it there."""
    found: dict[str, Authorship] = {}
    canonical = canonical_names(model)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter.is_meta or not parameter.is_floating_point() or parameter.numel() == 0:
            continue
        flat = parameter.detach().reshape(-1)
        value = float(flat[0])
        if value - value == 0 and bool((flat == flat[0]).all()):
            found[canonical[name]] = Authorship(Constant(value), f"it holds {value:.6g} everywhere", stands=True)
    return found
