"""An anchor's page: what was reported, what came out here, and what differs."""

from __future__ import annotations

from wellbegun.lab.anchors.anchor import Anchor, Gate
from wellbegun.lab.measured_page import Results, number, table


def page_of(anchor: Anchor, results: Results) -> str:
    """Return an anchor's page as Markdown, from its numbers."""
    tables = "\n\n".join(
        (f"**{each.title}**\n\n" if each.title else "") + table(each.head, each.rows) for each in anchor.tables(results)
    )
    picture = "" if anchor.figure is None else f"\n\n![{anchor.title}](figures/{anchor.name}_curve.svg)"
    gates = table(["what has to come out", "bound", "came out", ""], [gate_row(gate) for gate in anchor.gates(results)])
    made = ", ".join(f"{name} {version}" for name, version in results.get("made_with", {}).items())
    minutes = f"about {anchor.minutes:g} minutes" if anchor.minutes >= 2 else "a minute or so"
    return f"""# {anchor.title}

{anchor.source}

## What the paper reports

{anchor.reported}

## What was done here

{anchor.setup} Repeat it with `wellbegun anchor {anchor.name}` ({minutes} on two cores).

## What came out

{tables}{picture}

{gates}

{anchor.findings(results)}

**What differs from the paper.** {anchor.differs}

<sub>Measured with {made}.</sub>
"""


def gate_row(gate: Gate) -> tuple[str, str, str, str]:
    """Return what is asked, the bound, the value, and whether it holds."""
    return gate.what, gate.bound, number(gate.value), "holds" if gate.holds else "**does not hold**"
