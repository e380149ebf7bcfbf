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
    (
        "u-muP (unit scaling)",
        "it multiplies every operation by one number forward and by another one backward, and a plan's multipliers are "
        "of the forward pass alone; muP, of which it is a form, is built in",
    ),
    (
        "NFNet's gains and 1/beta",
        "they stand behind each activation and in front of each branch, places that a plan's multipliers do not name; "
        "the variance behind an activation, of which they are made, is what autoinit divides by",
    ),
    (
        "Krähenbühl's PCA and k-means weights (2016), Sylvester autoencoding, ZCA",
        "not done: they fill a layer from the whitened patches of its inputs; swim and standardize look at inputs too",
    ),
    (
        "Net2Net, LiGO and bert2BERT (networks that grow)",
        "widening keeps a function only if every tensor that a width touches is known; weight selection, the way down, "
        "needs no such map",
    ),
    ("LoRA-GA", "not done: it needs the gradient of every adapted weight, and its constants were not looked up"),
    ("LoftQ, QPiSSA", "they alternate with a quantiser, and a plan holds no quantised numbers"),
    ("CorDA, MiCA", "not done: their formulas were not looked up"),
)
"""(name, reason). A method that gets a card leaves this list."""
