"""Methods of the literature that have no card, each with the reason: docs/methods/README.md lists them."""

from __future__ import annotations

LEFT_OUT: tuple[tuple[str, str], ...] = (
    (
        "DKS and TAT (DeepMind, 2021 and 2022)",
        "they change the activations of the network and not its weights, so a plan cannot carry them out",
    ),
)
"""(name, reason). A method that gets a card leaves this list."""
