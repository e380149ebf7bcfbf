"""A method's card: its formula, when to use it and when not. Made from the docstring, and from nothing else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass

from wellbegun.errors import ArgumentError
from wellbegun.laws.anchored import anchored

_SECTIONS = {
    "Need": "need",
    "Formula": "formula",
    "Use it for": "use",
    "Not for": "avoid",
    "Parts": "parts",
    "Evidence": "evidence",
    "Args": "arguments",
    "Source": "source",
}

NEEDS = (
    "one choice for any network",
    "one rule for every weight",
    "deep networks without normalisation",
    "residual networks",
    "transformers",
    "widths and depths that share learning rates",
    "recurrent and state-space networks",
    "networks of coordinates (images, sounds, fields)",
    "outputs, policies, routers and experts",
    "scales measured on data or gradients",
    "trained weights, adapters and new parts",
    "what a framework or a model family starts with",
    "single values and parts",
)
"""What a method is for, in the order in which methods are listed."""


@dataclass(frozen=True)
class Card:
    """The parts of a method's docstring.

    Attributes:
        name: what the method is called on the command line.
        code: the expression that makes it in Python.
        summary: one sentence.
        need: what it is for, one of `NEEDS`.
        formula, use, avoid, source: one paragraph each.
        parts: whether a part of a sharded tensor can be drawn alone, "" where the law's own text says so.
        evidence: what this project measured with it, its anchors last; "" where it has no figures.
        arguments: (name, meaning) pairs.
        example: the doctest, as written.
    """

    name: str
    code: str
    summary: str
    need: str
    formula: str
    use: str
    avoid: str
    parts: str
    evidence: str
    source: str
    arguments: tuple[tuple[str, str], ...]
    example: str

    @classmethod
    def of(cls, name: str, documented: object, code: str) -> Card:
        """Read the card of a documented class or function."""
        text = inspect.getdoc(documented) or ""
        lines = text.splitlines()
        example = "\n".join(line for line in lines if line.startswith(">>>") or _is_output(lines, line))
        parts: dict[str, list[str]] = {}
        current: list[str] = []
        for line in lines:
            heading = re.match(r"([A-Z][A-Za-z ]*):\s*(.*)", line)
            if heading and heading[1] in _SECTIONS:
                current = parts.setdefault(_SECTIONS[heading[1]], [])
                line = heading[2]
            elif line and not line.startswith(" ") and current:
                current = []
            current.append(line)
        joined = {key: _paragraph(value) for key, value in parts.items() if key != "arguments"}
        return cls(
            name=name,
            code=code,
            summary=_paragraph(text.split("\n\n")[0].splitlines()),
            need=joined.get("need", "").rstrip("."),
            formula=joined.get("formula", ""),
            use=joined.get("use", ""),
            avoid=joined.get("avoid", ""),
            parts=joined.get("parts", ""),
            evidence=" ".join(filter(None, (joined.get("evidence", ""), *anchored(name)))),
            source=joined.get("source", ""),
            arguments=_arguments(parts.get("arguments", [])),
            example=example,
        )

    def paragraphs(self) -> tuple[tuple[str, str], ...]:
        """Return the titled texts that are not empty, in the order in which they are shown; the source comes last."""
        titled = (
            ("Need", self.need),
            ("Formula", self.formula),
            ("Use it for", self.use),
            ("Not for", self.avoid),
            ("Parts", self.parts),
            ("Evidence", self.evidence),
        )
        return tuple((title, text) for title, text in titled if text)

    def markdown(self) -> str:
        """Return the card as a page of docs/methods/."""
        blocks = [f"# {self.name}", self.summary, f"**In Python:** `wb.{self.code}`" if self.code else ""]
        blocks += [f"```python\n{self.example}\n```" if self.example else ""]
        blocks += [f"**{title}:** {text}" for title, text in self.paragraphs()]
        if self.arguments:
            blocks.append("\n".join(["**Arguments:**", ""] + [f"- `{n}`: {meaning}" for n, meaning in self.arguments]))
        blocks.append(f"**Source:** {self.source}" if self.source else "")
        return "\n\n".join(block for block in blocks if block) + "\n"


def by_need(cards: Iterable[Card]) -> dict[str, list[Card]]:
    """Return the cards under what they are for, in the order of `NEEDS`.

    Raises:
        ArgumentError: a card's need is none of them.
    """
    groups: dict[str, list[Card]] = {need: [] for need in NEEDS}
    for card in cards:
        if card.need not in groups:
            raise ArgumentError(f"the card of {card.name} has the need {card.need!r}; it must be one of {NEEDS}")
        groups[card.need].append(card)
    return {need: found for need, found in groups.items() if found}


def _is_output(lines: list[str], line: str) -> bool:
    """A line of expected output: it follows an example line with no blank line between."""
    position = next(i for i, other in enumerate(lines) if other is line)
    while position > 0 and lines[position].strip():
        position -= 1
        if lines[position].startswith(">>>"):
            return True
    return False


def _paragraph(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())


def _arguments(lines: list[str]) -> tuple[tuple[str, str], ...]:
    found: list[list[str]] = []
    for line in lines:
        entry = re.match(r" {4}(\S.*?): (.*)", line)
        if entry:
            found.append([entry[1], entry[2]])
        elif line.strip() and found:
            found[-1][1] += " " + line.strip()
    return tuple((name, meaning) for name, meaning in found)
