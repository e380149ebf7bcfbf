"""wellbegun anchor: published results, measured again on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from wellbegun.cli.compare import progress_bar
from wellbegun.errors import ArgumentError, OutputError

if TYPE_CHECKING:
    from wellbegun.lab.anchors.anchor import Anchor
    from wellbegun.lab.anchors.gate import Check
    from wellbegun.lab.measured_page import Results

STDOUT, MISSED = "-", 1


def anchor_command(
    name: Annotated[str, typer.Argument(help="Which one; left out: the list.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="A part of the measurement that takes seconds.")] = False,
    device: Annotated[str, typer.Option(help="Where: cpu, or cuda for those that say so.")] = "cpu",
    depth: Annotated[int | None, typer.Option(help="Of the network, for those whose depth can be chosen.")] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Write page, figure, numbers and list anew; without a name all pages, from the numbers kept.",
        ),
    ] = False,
    folder: Annotated[Path, typer.Option(help="Folder of the pages, for --write.")] = Path("docs/anchors"),
    json_file: Annotated[
        str, typer.Option("--json", metavar="FILE", help="Also as JSON; '-' for stdout alone. [default: none]")
    ] = "",
) -> None:
    """Measure a published result again; exits 0 if everything came out as it has to, 1 if not."""
    from wellbegun.lab.anchors.anchor import Asked
    from wellbegun.lab.anchors.catalogue import ANCHORS, find_anchor
    from wellbegun.lab.anchors.kept import write_list, write_pages
    from wellbegun.lab.anchors.measured import measured
    from wellbegun.plans import check_writable, write_text_atomically

    console = Console(stderr=json_file == STDOUT)
    if write and (quick or device != "cpu" or depth is not None):
        raise ArgumentError("a page is written from the whole measurement: leave --quick, --device and --depth out")
    if write and not folder.is_dir():
        raise OutputError(f"--write: there is no folder {folder}; run it in a checkout, or name one with --folder")
    if not name and write:
        write_pages(folder, ANCHORS.values())
        console.print(f"Written from the numbers kept: {folder}", highlight=False, soft_wrap=True)
        return
    if not name:
        _list(console, json_file)
        return
    anchor = find_anchor(name)
    if json_file not in ("", STDOUT):
        check_writable(Path(json_file))
    with progress_bar(console) as progress:
        bar = progress.add_task(anchor.name, total=None)

        def on_progress(done: int, total: int, what: str) -> None:
            progress.update(bar, completed=done, total=total, description=f"{anchor.name}: {what}")

        results = measured(anchor, Asked(quick=quick, device=device, depth=depth, on_progress=on_progress))
    checks = anchor.checks(results, quick)
    _show(anchor, results, checks, console)
    text = json.dumps(_record(anchor, results, checks, quick), indent=1)
    if json_file == STDOUT:
        print(text)
    elif json_file:
        write_text_atomically(json_file, text + "\n")
    if write:
        anchor.measured_page(folder).write(results)
        write_list(folder, ANCHORS.values())
        console.print(f"Written: [bold]{folder / anchor.name}.md[/]", highlight=False, soft_wrap=True)
    if not all(check.holds for check in checks):
        raise typer.Exit(MISSED)


def _list(console: Console, json_file: str) -> None:
    from wellbegun.lab.anchors.catalogue import ANCHORS

    if json_file == STDOUT:
        rows = [
            {
                "name": anchor.name,
                "title": anchor.title,
                "source": anchor.source,
                "minutes": anchor.minutes,
                "devices": anchor.devices,
                "methods": anchor.methods,
                "gates": [{"what": gate.what, "bound": gate.bound} for gate in anchor.gates],
            }
            for anchor in ANCHORS.values()
        ]
        print(json.dumps(rows, indent=1))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("name", "what it shows", "minutes", "what has to come out"):
        table.add_column(heading, no_wrap=heading in ("name", "minutes"))
    for anchor in ANCHORS.values():
        gates = "\n".join(f"{gate.what}: {gate.bound}" for gate in anchor.gates)
        table.add_row(anchor.name, anchor.title, f"{anchor.minutes:g}", gates)
    console.print(table)
    console.print("Measure one with: wellbegun anchor NAME; --quick for a part of it that takes seconds.")


def _show(anchor: Anchor, results: Results, checks: list[Check], console: Console) -> None:
    from wellbegun.lab.anchors.page import took
    from wellbegun.lab.measured_page import number

    console.print(f"[bold]{anchor.title}[/]\n[dim]{anchor.source}[/]", highlight=False)
    for each in anchor.tables(results):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=each.title or None, title_justify="left")
        for place, heading in enumerate(each.head):
            table.add_column(heading, justify="left" if place == 0 else "right")
        for row in each.rows:
            table.add_row(*row)
        console.print(table)
    for check in checks:
        sign, colour = ("holds", "green") if check.holds else ("does not hold", "red")
        line = f"[{colour}]{sign:>13}[/]  {check.what}: {number(check.value)} ({check.bound})"
        console.print(line, highlight=False)
    console.print(f"[dim]{took(results['seconds'])}[/]", highlight=False)


def _record(anchor: Anchor, results: Results, checks: list[Check], quick: bool) -> Results:
    gates = [{"what": check.what, "bound": check.bound, "value": check.value, "holds": check.holds} for check in checks]
    return {"anchor": anchor.name, "quick": quick, "gates": gates, "results": results}
