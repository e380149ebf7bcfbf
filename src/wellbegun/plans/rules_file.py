"""Rules as a TOML file, for the command line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from wellbegun.errors import ArgumentError, closest_names
from wellbegun.plans.rules import Rule, make_rule

_KEYS = ("match", "init", "reason")
_EXAMPLE = '[[rule]]\nmatch = "*.bias"\ninit = "zeros"'


def load_rules(path: str | Path) -> tuple[Rule, ...]:
    """Read an ordered list of rules; later rules win.

    The file holds tables [[rule]] with `match` (a name, a glob, "re:...", "type:Linear"), `init` ("normal(std=0.02)",
    "keep") and, if wanted, `reason`, which the plan repeats.

    Raises:
        ArgumentError: the file cannot be read; the message names the file, the rule and the line.
    """
    shown = Path(path).name
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ArgumentError(f"cannot read the rules {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ArgumentError(f"{shown} is no text in UTF-8") from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ArgumentError(f"{shown} is not TOML: {error}") from None
    unknown = sorted(set(content) - {"rule"})
    if unknown:
        raise ArgumentError(
            f"{shown} has the unknown key {unknown[0]!r}{_near(unknown[0], ('rule',))}; write\n{_EXAMPLE}"
        )
    listed = content.get("rule", [])
    if not isinstance(listed, list) or not listed:
        raise ArgumentError(f"{shown} has no list of rules; write\n{_EXAMPLE}")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*\"?rule", line)]
    lines += [0] * (len(listed) - len(lines))  # rules as an inline array have no header
    return tuple(_rule(item, _place(shown, number, line)) for number, (item, line) in enumerate(zip(listed, lines), 1))  # noqa: B905


def _rule(item: Any, place: str) -> Rule:
    if not isinstance(item, dict):
        raise ArgumentError(f"{place}: a rule is a table with {' and '.join(_KEYS[:2])}, got {item!r}")
    for key, value in item.items():
        if key not in _KEYS:
            raise ArgumentError(f"{place}: unknown key {key!r}{_near(key, _KEYS)}; known: {', '.join(_KEYS)}")
        if not isinstance(value, str):
            raise ArgumentError(f"{place}: {key} must be text, got {value!r}")
    missing = [key for key in _KEYS[:2] if key not in item]
    if missing:
        raise ArgumentError(f"{place}: {' and '.join(missing)} missing; write\n{_EXAMPLE}")
    try:
        return make_rule(item["match"], item["init"], place, item.get("reason", ""))
    except ArgumentError as error:
        raise ArgumentError(f"{place}: {error}") from None


def _place(shown: str, number: int, line: int) -> str:
    return f"{shown}, rule {number}" + (f", line {line}" if line else "")


def _near(given: str, known: tuple[str, ...]) -> str:
    near = closest_names(given, known, most=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
