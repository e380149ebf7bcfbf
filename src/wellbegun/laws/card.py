"""A method's card: its formula, when to use it and when not. Made from the docstring, and from nothing else."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

_SECTIONS = {"Formula": "formula", "Use it for": "use", "Not for": "avoid", "Args": "arguments", "Source": "source"}


@dataclass(frozen=True)
class Card:
    """The parts of a method's docstring.

    Attributes:
        name: what the method is called on the command line.
        code: the expression that makes it in Python.
        summary: one sentence.
        formula, use, avoid, source: one paragraph each.
        arguments: (name, meaning) pairs.
        example: the doctest, as written.
    """

    name: str
    code: str
    summary: str
    formula: str
    use: str
    avoid: str
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
            formula=joined.get("formula", ""),
            use=joined.get("use", ""),
            avoid=joined.get("avoid", ""),
            source=joined.get("source", ""),
            arguments=_arguments(parts.get("arguments", [])),
            example=example,
        )

    def markdown(self) -> str:
        """Return the card as a page of docs/methods/."""
        blocks = [f"# {self.name}", self.summary, f"**In Python:** `wb.{self.code}`" if self.code else ""]
        blocks += [f"```python\n{self.example}\n```" if self.example else ""]
        titled = (("Formula", self.formula), ("Use it for", self.use), ("Not for", self.avoid))
        blocks += [f"**{title}:** {text}" for title, text in titled if text]
        if self.arguments:
            blocks.append("\n".join(["**Arguments:**", ""] + [f"- `{n}`: {meaning}" for n, meaning in self.arguments]))
        blocks.append(f"**Source:** {self.source}" if self.source else "")
        return "\n\n".join(block for block in blocks if block) + "\n"


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
