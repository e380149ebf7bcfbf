"""The names that a model's parameters have in its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def planned_names(model: torch.nn.Module) -> dict[str, str]:
    """Return {name in the model: name in a plan} of every parameter and buffer.

    They differ inside wrappers, and where a weight is computed from other tensors: the one that carries it stands for
    the weight.
    """
    from wellbegun.graph.names import canonical_names
    from wellbegun.graph.parametrised import carriers

    return canonical_names(model) | {actual: name for name, actual in carriers(model).items()}
