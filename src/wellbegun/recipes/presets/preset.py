"""What every preset is: a table from roles to initializers, with a version that fixes its numbers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from wellbegun.authors import Authorship
from wellbegun.graph.graph import Graph, Use
from wellbegun.graph.variable import Variable
from wellbegun.laws import Fans, Initializer, Zeros
from wellbegun.plans import Multiplier
from wellbegun.recipes.entries import uses_of
from wellbegun.recipes.fixed import fixed_proposals
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.special import special_proposals

WEIGHTS = ("linear weight", "convolution weight", "transposed convolution weight", "bilinear weight")
TABLES = ("embedding weight", "position table", "token", "bias table")
GATES = ("input weight of gates", "recurrent weight", "projection weight")


@dataclass(frozen=True)
class Site:
    """One tensor and how it is used, as a preset's rules see it."""

    graph: Graph
    variable: Variable
    uses: tuple[Use, ...]

    @property
    def role(self) -> str:
        """Its role; of a look-up table that is the output layer too, that of the table; "" where uses disagree."""
        roles = {use.role for use in self.uses}
        if roles == {"embedding weight", "linear weight"}:
            return "embedding weight"
        return roles.pop() if len(roles) == 1 else ""

    @property
    def fans(self) -> Fans | None:
        """Fans of its first use that has any."""
        return next((use.fans for use in self.uses if use.fans is not None), None)

    def sibling(self, attribute: str) -> Variable | None:
        """Another tensor of the same module."""
        path = self.variable.name.rpartition(".")[0]
        name = f"{path}.{attribute}" if path else attribute
        return next((other for other in self.graph.variables if name in (other.name, *other.ties)), None)

    def is_of(self, *kinds: str) -> bool:
        """Whether its module is of one of these types, by full name."""
        return bool(self.variable.types) and any(kind in self.variable.types[0] for kind in kinds)


@dataclass(frozen=True)
class Line:
    """One line of a preset's table: what tensors of some roles hold, and why."""

    roles: tuple[str, ...]
    initializer: Initializer
    reason: str


class Preset:
    """A named policy. Its class docstring is its card; its version says that its numbers are fixed."""

    name_only: ClassVar[str]
    version: ClassVar[int] = 1
    needs_author: ClassVar[bool] = False
    source: ClassVar[str]
    needs_author = False
    code: ClassVar[str] = ""
    """Arguments in the card's example call, where it needs any."""

    def __init__(self) -> None:
        self.arguments: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """Name and version, with the arguments that differ from their defaults."""
        parameters = inspect.signature(type(self)).parameters
        given = {k: v for k, v in self.arguments.items() if k not in parameters or parameters[k].default != v}
        shown = ", ".join(f"{key}={value!r}" for key, value in given.items())
        return f"{self.name_only}@{self.version}" + (f"({shown})" if shown else "")

    def lines(self) -> tuple[Line, ...]:
        """Return the table: the first line with a tensor's role says what it holds."""
        return ()

    def special(self, site: Site) -> Proposal | None:  # noqa: ARG002
        """Return what a tensor holds whose structure or type says more than its role; it goes before the table."""
        return None

    def prepare(self, graph: Graph) -> None:
        """Look at the whole graph before any tensor."""

    def multipliers(self, graph: Graph) -> tuple[Multiplier, ...]:  # noqa: ARG002
        """Return the numbers that the forward pass must multiply with, for recipes that are more than weights."""
        return ()

    def propose(self, graph: Graph, known: Mapping[str, Authorship] | None = None) -> dict[str, Proposal]:
        """Return a proposal for each variable that the preset has an answer for."""
        self.prepare(graph)
        proposals = fixed_proposals(graph, known) | special_proposals(graph, known or {})
        table = {role: line for line in reversed(self.lines()) for role in line.roles}
        for variable in graph.variables:
            site = Site(graph, variable, uses_of(graph, variable.name))
            made = self.special(site)
            if made is None and site.role in table:
                line = table[site.role]
                made = Proposal(line.initializer, line.reason, self.source)
            if made is not None:
                proposals[variable.name] = made
        return proposals


def zero_biases() -> Line:
    """Return the line that most presets end with."""
    return Line(("bias", "gate bias"), Zeros(), "biases start at 0")
