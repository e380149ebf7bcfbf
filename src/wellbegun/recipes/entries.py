"""From a proposal to an entry: the law for the tensor's fans, part by part where one tensor holds several weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from wellbegun.errors import ArgumentError, PlanError
from wellbegun.laws import Fans, Initializer, Law, OrientedLaw, Orthogonal, Patched, WithFans
from wellbegun.plans import Entry

if TYPE_CHECKING:
    from wellbegun.graph.graph import Graph, Use
    from wellbegun.graph.variable import Variable
    from wellbegun.recipes.proposal import Proposal

GIVE_FANS = (
    "say what its dimensions are: wb.WithFans(wb.HeNormal(), wb.Fans(fan_in=..., fan_out=...)), or wb.Fans.of(shape, "
    "axes) with i for inputs, o for outputs, k for taps and b for a stack of separate weights, such as 'bio'"
)
"""What to do about a weight whose use gives no fans."""


def make_entry(graph: Graph, variable: Variable, proposal: Proposal, stream: str = "") -> Entry:
    """Return the entry of one tensor.

    Args:
        graph: what the forward pass does with it.
        variable: the tensor.
        proposal: what it shall hold.
        stream: name that keys its numbers, if not its own.

    Raises:
        PlanError: the proposal does not fit the tensor.
    """
    uses = uses_of(graph, variable.name)
    given = proposal.initializer
    fans = given.fans if isinstance(given, WithFans) else main_fans(uses)
    try:
        law = _law(proposal.initializer, variable, uses, fans)
        law.check_shape(variable.shape)
    except ArgumentError as error:
        raise PlanError(f"{variable.name} {list(variable.shape)}: {error}") from None
    roles = list(dict.fromkeys(use.role for use in uses)) or [variable.kind]
    if variable.name not in graph.uses:
        roles[0] = f"unused {roles[0]}"
    return Entry(
        name=variable.name,
        kind=variable.kind,
        shape=variable.shape,
        dtype=variable.dtype,
        role=" and ".join(roles),
        initializer=repr(proposal.initializer),
        law=law,
        reason=proposal.reason,
        source=proposal.source,
        fans=fans,
        before=proposal.before,
        after=proposal.after,
        stream=stream,
        ties=variable.ties,
        zero_row=next((use.padding_row for use in uses if use.padding_row is not None), None),
        uses=_repetitions(uses),
        persistent=variable.persistent,
        lr_factor=proposal.lr_factor if variable.kind == "parameter" else 1.0,
        decay_factor=proposal.decay_factor if variable.kind == "parameter" else 1.0,
        eps_factor=proposal.eps_factor if variable.kind == "parameter" else 1.0,
    )


def _repetitions(uses: tuple[Use, ...]) -> int:
    """How often the forward pass multiplies with the same part of a weight in the same way."""
    alike = Counter((use.role, use.region) for use in uses if use.fans is not None and use.role != "bias")
    return max(alike.values(), default=1)


def uses_of(graph: Graph, name: str) -> tuple[Use, ...]:
    """What the forward pass does with a tensor; where it does nothing, what the type of its module says."""
    unused = graph.unused.get(name)
    return graph.uses.get(name) or ((unused,) if unused else ())


def main_fans(uses: tuple[Use, ...]) -> Fans | None:
    """Fans of the tensor's use: of a table that is also the output layer those of the output layer, of several parts
    those of the largest.
    """
    known = [use for use in uses if use.fans is not None]
    known.sort(key=lambda use: (use.role == "embedding weight", -_size(use)))
    return known[0].fans if known else None


def _law(initializer: Initializer, variable: Variable, uses: tuple[Use, ...], fans: Fans | None) -> Law:
    if not initializer.needs_fans:
        return _in_blocks(initializer.law(), variable, uses)
    if fans is None:
        use = uses[0] if uses else None
        detail = f"{use.role}: {use.detail}" if use else "not used in the forward pass"
        raise ArgumentError(f"{initializer!r} needs fans, which its use ({detail}) does not give; {GIVE_FANS}")
    base = initializer.law(fans)
    parts = {use.region: initializer.law(use.fans) for use in uses if use.fans is not None and use.region is not None}
    others = tuple((region, law) for region, law in parts.items() if law != base)
    return Patched(base, others) if others else _in_blocks(base, variable, uses)


def _in_blocks(law: Law, variable: Variable, uses: tuple[Use, ...]) -> Law:
    """An orthogonal law of its own for each matrix that the tensor stacks (experts, heads, gates, q and k and v); a law
    that tells rows from columns learns which of them the outputs are.
    """
    if isinstance(law, OrientedLaw) and any(use.inputs_first for use in uses):
        return law.turned()
    if not isinstance(law, Orthogonal) or law.blocks > 1 or law.batch:
        return law
    stacked = next((len(use.axes) - len(use.axes.lstrip("b")) for use in uses if use.axes), 0)
    if stacked and len(variable.shape) - stacked >= 2:
        law = replace(law, batch=stacked)
    rows = variable.shape[law.batch] if len(variable.shape) > law.batch else 0
    edges = sorted({use.region[law.batch] for use in uses if use.region and len(use.region) > law.batch})
    sizes = {stop - start for start, stop in edges}
    together = [edge for pair in edges for edge in pair]
    covers = bool(edges) and together[0] == 0 and together[-1] == rows and together[1:-1:2] == together[2:-1:2]
    if len(edges) > 1 and len(sizes) == 1 and covers:
        return replace(law, blocks=len(edges))
    return law


def _size(use: Use) -> float:
    return use.fans.fan_in * use.fans.fan_out if use.fans else 0.0
