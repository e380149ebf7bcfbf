"""What flows into a layer, as a clause for the reason of its entry."""

from __future__ import annotations

from wellbegun.recipes.signal import Feed


def origin(feed: Feed) -> str:
    """Return "fed by relu, which passes on a second moment of 0.5" and its like."""
    size = f"{feed.second_moment:.4g}"
    if feed.doubt == "attention":
        return f"fed by attention, which averages values of second moment {size}, so by at most that"
    if feed.doubt:
        size = f"about {size} (an estimate, with {feed.doubt} on the way)"
    if feed.activation:
        return f"fed by {feed.activation}, which passes on a second moment of {size}"
    if feed.kind == "input":
        known = "measured" if feed.measured else "assumed; pass a batch to measure it"
        return f"fed by the data, second moment {size} ({known})"
    if feed.kind == "norm":
        return f"fed by a normalisation, second moment {size}"
    source = {
        "add": "a sum of branches",
        "matmul": "a product of signals",
        "multiply": "a product of branches",
        "linear": "a linear layer",
        "convolution": "a convolution",
        "embedding": "a look-up table",
        "concat": "signals put side by side",
        "other": "an operation",
    }
    return f"fed by {source.get(feed.kind, feed.kind)}, second moment {size}"
