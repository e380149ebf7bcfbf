"""Uses by module type: gates of recurrent layers, and parameters that the forward pass does not use."""

from __future__ import annotations

from dataclasses import replace

from wellbegun.graph.graph import Use
from wellbegun.graph.variable import Variable


def by_module_types(variable: Variable | None, uses: tuple[Use, ...]) -> tuple[Use, ...]:
    """Give the parameters of recurrent layers their roles; one use for each operation, for all gates together."""
    typed = variable.typed if variable is not None else None
    if typed is None or not (typed.gates or typed.role == "projection weight"):
        return uses
    found = {use.operation: use for use in uses}
    return tuple(
        replace(use, role=typed.role, fans=typed.fans, axes=typed.axes, gates=typed.gates, region=None, part=False)
        for use in found.values()
    )


def unused_by_type(variables: tuple[Variable, ...], used: dict[str, tuple[Use, ...]]) -> dict[str, Use]:
    """What the variables that the forward pass does not use are for, by the types of their modules."""
    found = {}
    for variable in variables:
        typed = variable.typed
        if typed is not None and variable.name not in used:
            found[variable.name] = Use(
                variable.name,
                typed.role,
                -1,
                variable.owner,
                typed.fans,
                axes=typed.axes,
                padding_row=typed.padding_row,
                gates=typed.gates,
            )
    return found
