"""Plans and entries as text for people."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from wellbegun.plans.entry import Entry

if TYPE_CHECKING:
    from rich.table import Table

    from wellbegun.plans.plan import Plan


def plan_table(plan: Plan) -> Table:
    """Return the plan as a rich table, with the reason of each entry."""
    from rich import box
    from rich.table import Table

    count = sum(entry.size for entry in plan)
    title = (
        f"plan by {plan.recipe} · {len(plan)} tensors, {count:,} numbers · seed {plan.seed} · sampler {plan.sampler}"
    )
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for heading in ("tensor", "shape", "law", "std"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "std" else "left")
    table.add_column("reason", ratio=1)
    for entry in plan:
        names = "\n= ".join((entry.name, *entry.ties))
        std = "own" if entry.std != entry.std else f"{entry.std:.4g}"
        table.add_row(names, "×".join(map(str, entry.shape)) or "scalar", repr(entry.law), std, entry.reason)
    return table


def plan_text(plan: Plan, width: int = 150) -> str:
    """Return the table as plain text of at most this width."""
    from rich.console import Console

    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None, force_terminal=False).print(plan_table(plan))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def entry_text(plan: Plan, entry: Entry) -> str:
    """Return all that the plan knows about one tensor."""
    lines = [
        f"{entry.name}  ({entry.kind}, {'×'.join(map(str, entry.shape)) or 'scalar'}, {entry.dtype})",
        f"  role         {entry.role}",
        f"  initializer  {entry.initializer}",
        f"  law          {entry.law!r}, std {entry.std:.6g}",
        f"  reason       {entry.reason}",
    ]
    if entry.source:
        lines.append(f"  source       {entry.source}")
    if entry.fans is not None:
        lines.append(f"  fans         fan_in {entry.fans.fan_in:g}, fan_out {entry.fans.fan_out:g}")
    if entry.before is not None and entry.after is not None:
        lines.append(f"  second moment  {entry.before:.4g} before the operation, aimed at {entry.after:.4g} after it")
    if entry.measured is not None:
        lines.append(f"  calibrated   second moment {entry.measured:.4g} behind the operation")
    if entry.zero_row is not None:
        lines.append(f"  zeros        row {entry.zero_row}, which stands for padding")
    if entry.ties:
        lines.append(f"  tied with    {', '.join(entry.ties)}")
    lines.append(f"  stream       (seed {plan.seed}, {entry.stream!r}), sampler {plan.sampler}")
    return "\n".join(lines)
