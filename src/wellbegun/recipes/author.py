"""author@0: what the model's own initialisation code does, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any

from wellbegun.authors import Authorship, record_construction, record_initialisation, recorded
from wellbegun.errors import UnplannedError
from wellbegun.graph.framework import check_module
from wellbegun.graph.graph import Graph
from wellbegun.recipes.proposal import Proposal

if TYPE_CHECKING:
    import torch

SOURCE = "the model's own code"


class AuthorRecipe:
    """Gives each tensor the law that the author's code draws it from.

    >>> AuthorRecipe().name
    'author@0'

    Formula: the code runs once, under a recorder that writes random numbers down and draws none; what ends up in each
        parameter and buffer becomes a law, and what has no law is carried out once and stored.
    Use it for: existing models: their initialisation becomes a plan that can be read, compared, and written at any
        sharding, without a line of it being rewritten.
    Not for: judging that initialisation: compare with `auto`, and diagnose.
    Source: the model's own code.
    """

    name = "author@0"

    def propose(
        self, graph: Graph, authored: Mapping[str, Authorship], ruled: Container[str] = ()
    ) -> dict[str, Proposal]:
        """Return a proposal for every variable of the graph; those that rules decide may lack one.

        Raises:
            UnplannedError: no code was seen that gives a tensor its value; each is named.
        """
        unknown = [v for v in graph.variables if v.name not in authored or authored[v.name].law is None]
        missing = [variable for variable in unknown if variable.name not in ruled]
        if missing:
            lines = [f"  {v.name} {list(v.shape)} ({v.kind} of {v.owner}; {_why(authored, v.name)})" for v in missing]
            raise UnplannedError(
                f"the author's code, as far as it was seen, gives {len(missing)} of {len(graph.variables)} tensors no "
                "value:\n" + "\n".join(lines) + "\nIf a constructor drew them, that cannot be seen any more: build the "
                "model inside `with wb.skeleton():`, or pass the function that builds it in the model's place; or say "
                "what they shall hold: plan(..., rules={'name': wb.Zeros()})."
            )
        found = {}
        for variable in graph.variables:
            authorship = authored.get(variable.name)
            if authorship is not None and authorship.law is not None:
                found[variable.name] = Proposal(authorship.law, authorship.note, SOURCE)
        return found


def author_of(
    model: torch.nn.Module | Callable[[], torch.nn.Module], seed: int, function: Callable[[Any], object] | None = None
) -> tuple[torch.nn.Module, Mapping[str, Authorship]]:
    """Return the model and what its author's code gives each tensor.

    Args:
        model: built under `wb.skeleton()`: its record is used; a factory: it is called and recorded; any other model:
            what initialises it is run on stand-ins.
        seed: of tensors that no law describes.
        function: initialises the model after all that.
    """
    import torch

    authored: Mapping[str, Authorship] | None
    if not isinstance(model, torch.nn.Module) and callable(model):
        model, authored = record_construction(model, seed)
    else:
        model = check_module(model, "planning")
        authored = recorded(model)
    names = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    known = authored is not None and all(name in authored and authored[name].law is not None for name in names)
    if function is not None or not known:
        authored = record_initialisation(model, function, seed)
    assert authored is not None
    return model, authored


def _why(authored: Mapping[str, Authorship], name: str) -> str:
    return authored[name].note if name in authored else "not there when the code ran"
