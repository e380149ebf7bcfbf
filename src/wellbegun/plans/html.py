"""Plans and differences as HTML for notebooks: one element with its own style, no script, nothing from outside."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from wellbegun.plans.groups import shown_groups
from wellbegun.plans.table import headline, name_lines, notes, summary
from wellbegun.plans.words import law_words, shape_words, std_words

if TYPE_CHECKING:
    from wellbegun.plans.diff import PlanDiff
    from wellbegun.plans.plan import Plan

_STYLE = """
.wellbegun{font-size:13px;line-height:1.45;max-width:100%;overflow-x:auto}
.wellbegun table{border-collapse:collapse;margin:6px 0;border:0}
.wellbegun th,.wellbegun td{text-align:left;vertical-align:top;padding:3px 14px 3px 0;border:0;background:none}
.wellbegun thead th{border-bottom:1px solid currentColor;font-weight:600}
.wellbegun tbody tr{border-bottom:1px solid rgba(128,128,128,.18);background:none}
.wellbegun td.name{font-family:ui-monospace,monospace;white-space:nowrap}
.wellbegun td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.wellbegun td.word{white-space:nowrap}
.wellbegun .quiet{opacity:.68}
.wellbegun td.why{min-width:22em}
.wellbegun .error{color:#c62828}.wellbegun .warning{color:#b26a00}.wellbegun .note{color:#1769aa}
""".replace("\n", "")


def plan_html(plan: Plan) -> str:
    """Return the plan's table as one self-contained element."""
    groups = shown_groups(plan)
    rows = []
    for group in groups:
        entry = group.first
        name = "<br>".join(escape(line) for line in name_lines(group).split("\n"))
        cells = (
            ("name", name),
            ("word", escape(shape_words(entry.shape))),
            ("word", escape(law_words(entry.law))),
            ("number", escape(std_words(entry))),
            ("why quiet", escape(entry.reason)),
        )
        title = f' title="{escape(entry.source)}"' if entry.source else ""
        rows.append(f"<tr{title}>" + "".join(f'<td class="{kind}">{text}</td>' for kind, text in cells) + "</tr>")
    table = _table(("tensor", "shape", "law", "std", "reason"), rows)
    lines = [(text, "warning" if "yellow" in style else "quiet") for text, style in notes(plan)]
    foot = "".join(f'<div class="{kind}">{escape(text)}</div>' for text, kind in lines)
    foot += f'<div class="quiet">{escape(summary(plan, len(groups)))}</div>'
    return _element(f"<strong>{escape(headline(plan))}</strong>{table}{foot}")


def diff_html(diff: PlanDiff) -> str:
    """Return the differences and what explains them as one self-contained element."""
    from wellbegun.plans.diff import MOST, row_of

    parts = [f"<strong>{escape(diff.headline)}</strong>"]
    for finding, rows in diff.sections():
        if finding is not None:
            parts.append(
                f'<p><strong class="{finding.level}">{finding.level}, {escape(diff.recipe_of(finding))}:</strong> '
                f"<strong>{escape(finding.title)}</strong><br>{escape(finding.text)}</p>"
            )
        elif len(parts) > 1:
            parts.append("<p><strong>other differences</strong></p>")
        shown = []
        for label, changes in rows[:MOST]:
            cells = zip(("name", "word quiet", "word"), row_of(label, changes[0]), strict=True)
            shown.append("<tr>" + "".join(f'<td class="{kind}">{escape(text)}</td>' for kind, text in cells) + "</tr>")
        if shown:
            parts.append(_table(("tensor", " → ".join(diff.headings), "what differs"), shown))
        if len(rows) > MOST:
            left = sum(len(changes) for _, changes in rows[MOST:])
            parts.append(f'<div class="quiet">... and {left} more tensors in {len(rows) - MOST} rows</div>')
    parts += [f"<div>{escape(line)}</div>" for line in diff.multiplier_lines() if line]
    return _element("".join(parts))


def _table(headings: tuple[str, ...], rows: list[str]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _element(content: str) -> str:
    return f'<div class="wellbegun"><style>{_STYLE}</style>{content}</div>'
