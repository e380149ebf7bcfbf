"""Which findings explain that a network learns badly, and what a person calls them."""

from __future__ import annotations

from types import MappingProxyType

CAUSES = MappingProxyType(
    {
        "non-finite": "infinite values",
        "overflow": "overflow",
        "symmetric": "symmetry",
        "no gradient": "zero gradients",
        "saturated": "saturation",
        "vanishing": "vanishing",
        "exploding": "explosion",
        "underflow": "underflow",
        "residual growth": "a growing residual stream",
        "collapsed": "forgotten inputs",
        "rank collapse": "tokens that became alike",
        "dead": "dead units",
        "sharp attention": "attention to one place alone",
        "uniform attention": "attention that no input moves",
        "copies": "copied weights",
        "large logits": "large outputs",
        "overconfident": "overconfident outputs",
        "ill-conditioned": "lost directions",
    }
)
"""Kinds of findings that explain a failure, the most basic first, and what a person calls them."""

NO_CAUSES = frozenset({"not judged", "off plan", "prior", "replicas", "unused"})
"""Kinds that explain no failure: what was not looked at, what differs from a plan or between processes, what no loss
depends on, and what only costs the first steps."""
