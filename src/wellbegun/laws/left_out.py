"""Methods of the literature that have no card, each with the reason: docs/methods/README.md lists them."""

from __future__ import annotations

LEFT_OUT: tuple[tuple[str, str], ...] = (
    ("IDInit's form for convolutions", "its patch-maintaining kernel was not found in a source that could be read"),
    (
        "chrono biases for GRUs",
        "the paper's rule for the one gate of a GRU was not found in a source that could be read",
    ),
    (
        "Stiefel-ReLU (2025)",
        "its calibrated mean was not found in a source that could be read",
    ),
    (
        "S4's normal-plus-low-rank form (NPLR)",
        "a plan could hold its numbers, but no model of PyTorch or transformers that keeps them was there to test with",
    ),
    (
        "DKS and TAT (DeepMind, 2021 and 2022)",
        "they change the activations of the network and not its weights, so a plan cannot carry them out",
    ),
    ("SIREN at slope 1 (first and last layer apart from the rest)", "not done yet"),
    ("T-Fixup, Admin, Sub-LN (Magneto)", "not done yet"),
    ("the spectral condition as a recipe", "not done yet; muP follows from it"),
    ("mimetic initialisation", "sources disagree on which pair of matrices gets which constants; not done yet"),
    ("u-muP, DeepScaleLM, NFNet's gains", "not done yet"),
    ("DeepNorm for encoder-decoder networks", "refused with an error that says so"),
    (
        "Krähenbühl's equal gradient rates (2016)",
        "its step between layers was not found in a source that could be read; its step within a layer is standardize",
    ),
    (
        "SWIM, upcycling to experts, weight selection, Net2Net, new tokens from the old ones' covariance",
        "not done yet",
    ),
    ("EVA, CorDA, LoftQ, LoRA-GA, MiCA", "not looked at yet"),
)
"""(name, reason). A method that gets a card leaves this list."""
