"""What published results, measured again in this project, say about a method."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

FILE = "anchors.json"
"""Sentences by method, beside this module; `wellbegun anchor --write` makes it from the numbers kept."""


def anchored(method: str) -> tuple[str, ...]:
    """Return a sentence for each anchor that says something about a method.

    >>> anchored("switch")[0][:31]
    'Our anchor router_and_prior: a '
    >>> anchored("no_such_method")
    ()
    """
    return tuple(_sentences().get(method, ()))


@lru_cache(maxsize=1)
def _sentences() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(resources.files("wellbegun.laws").joinpath(FILE).read_text("utf-8"))
    return found
