"""An anchor's page: what was reported, what came out here, and what differs; and the list of all pages."""

from __future__ import annotations

from collections.abc import Iterable

from wellbegun.lab.anchors.anchor import Anchor
from wellbegun.lab.anchors.gate import Check
from wellbegun.lab.measured_page import Results, number, table, wrapped

INDEX = "README.md"

INTRODUCTION = """# Anchors: published results, measured again

Each page puts what a paper reports beside what comes out here, on a small version that runs on one core in minutes, and
says what differs. The pages, their figures and this list are made from the numbers in `results/`; a test holds them to
that. What papers report is quoted as it is widely known; not every full text was at hand.
"""

COMMANDS = """```text
wellbegun anchor                     the list, with minutes and what has to come out
wellbegun anchor NAME --quick        a part of the measurement, in seconds
wellbegun anchor NAME                all of it; exits 0 if everything came out as it has to, 1 if not
wellbegun anchor NAME --write        the same in a checkout, and page, figure, numbers and list are written anew
wellbegun anchor --write             all pages anew from the numbers kept; nothing is measured
```
"""


def page_of(anchor: Anchor, results: Results) -> str:
    """Return an anchor's page as Markdown, from its numbers."""
    tables = "\n\n".join(
        (f"**{each.title}**\n\n" if each.title else "") + table(each.head, each.rows) for each in anchor.tables(results)
    )
    picture = "" if anchor.figure is None else f"\n\n![{anchor.title}](figures/{anchor.name}_figure.svg)"
    checks = anchor.checks(results)
    made = ", ".join(f"{name} {version}" for name, version in results["made_with"].items())
    return f"""# {anchor.title}

{anchor.source}

## What the paper reports

{anchor.reported}

## What was done here

{anchor.setup}

Repeat it with `wellbegun anchor {anchor.name}` ({took(results["seconds"])} on one core).

## What came out

{tables}{picture}

{table(["what has to come out", "bound", "came out", ""], [row(check) for check in checks])}
{missed(checks)}
{anchor.findings(results)}

**What differs from the paper.** {anchor.differs}

<sub>Measured with {made}.</sub>
"""


def row(check: Check) -> tuple[str, str, str, str]:
    """Return what is asked, the bound, the value, and whether it holds."""
    return check.what, check.bound, number(check.value), "holds" if check.holds else "**does not hold**"


def missed(checks: Iterable[Check]) -> str:
    """Return a paragraph that says plainly what did not come out; nothing if all did."""
    failed = [check.what for check in checks if not check.holds]
    return f"\n**Not reproduced here: {'; '.join(failed)}.**\n" if failed else ""


def took(seconds: float) -> str:
    """Return a time in words.

    >>> took(0.31), took(48.2), took(200)
    ('less than a second', '48 seconds', '3.3 minutes')
    """
    if seconds < 1:
        return "less than a second"
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.1f} minutes"


def index_of(measured: Iterable[tuple[Anchor, Results]]) -> str:
    """Return the list of all pages as Markdown, from the numbers of each."""
    rows = []
    for anchor, results in measured:
        checks = anchor.checks(results)
        held = f"{sum(check.holds for check in checks)} of {len(checks)}"
        rows.append((f"[{anchor.name}]({anchor.name}.md)", anchor.title, anchor.headline(results), held))
    head = ("anchor", "what it shows", "what came out here", "gates that hold")
    return wrapped(f"{INTRODUCTION}\n{table(head, rows)}\n\n{COMMANDS}")
