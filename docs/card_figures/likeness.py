"""Whether two figures are the same drawing, up to what rounding and another processor may change."""

from __future__ import annotations

import re

CLOSE = 0.25
"""Pixels, and thousandths of what is written: sums in another order move points by less."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def differences(kept: str, drawn: str) -> list[str]:
    """Return what differs: the texts around the numbers, or numbers that are too far apart.

    >>> differences("<path d='M1.0 2.0'/>", "<path d='M1.1 2.0'/>"), differences("<a x='1'/>", "<a x='2'/>")
    ([], ['1 is now 2'])
    """
    if _NUMBER.sub("#", kept) != _NUMBER.sub("#", drawn):
        return ["other shapes or texts"]
    pairs = zip(_NUMBER.findall(kept), _NUMBER.findall(drawn), strict=True)
    return [f"{old} is now {new}" for old, new in pairs if abs(float(old) - float(new)) > CLOSE]
