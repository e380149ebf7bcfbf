"""wellbegun data: which data sets there are, fetching them, and where they are kept."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table


def data_commands() -> typer.Typer:
    """Put the sub-commands together."""
    app = typer.Typer(help="Real data for the lab: what there is, fetching it, and where it is kept.")
    app.callback(invoke_without_command=True)(_list_command)
    app.command("fetch")(_fetch_command)
    app.command("where")(_where_command)
    return app


def _list_command(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List the data sets: name, what it is, size, licence, and whether it is here."""
    from wellbegun.lab.data import SETS
    from wellbegun.lab.data.data_set import told_size

    if context.invoked_subcommand is not None:
        return
    if as_json:
        fields = ("name", "summary", "source", "licence", "client", "package", "version", "sha256", "size")
        rows = [{name: getattr(data, name) for name in fields} | {"here": data.is_here} for data in SETS.values()]
        print(json.dumps(rows, indent=1))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("name", "what", "size", "licence", "here"):
        table.add_column(heading, no_wrap=heading in ("name", "size"))
    for data in SETS.values():
        here = "cached" if data.is_cached else "installed" if data.is_installed else "no"
        table.add_row(data.name, f"{data.summary} ({data.source})", told_size(data.size), data.licence, here)
    console = Console()
    console.print(table)
    console.print("Fetch with: wellbegun data fetch NAME...; digits, quadratic, image and text-small need nothing.")


def _fetch_command(names: Annotated[list[str], typer.Argument(help="Names of data sets or of tasks.")]) -> None:
    """Fetch data sets with their registry's own client; each is checked before it is kept."""
    from wellbegun.lab.data import fetch_set, find_set
    from wellbegun.lab.tasks import TASKS

    needed = [TASKS[name].needs if name in TASKS else name for name in names]  # None: nothing has to be fetched
    console = Console()
    for data in [find_set(name) for name in dict.fromkeys(needed) if name is not None]:
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task(data.name, total=data.size)

            def on_progress(done: int, _: int, bar: TaskID = bar, progress: Progress = progress) -> None:
                progress.update(bar, completed=done)

            path = fetch_set(data, on_progress)
        console.print(
            f"{data.name}: {data.summary}\n  source: {data.source}\n  licence: {data.licence}", highlight=False
        )
        console.print(f"  kept as {path}", highlight=False, soft_wrap=True)


def _where_command() -> None:
    """Print the folder that data are kept in; the environment variable WELLBEGUN_DATA names another."""
    from wellbegun.lab.data import cache_folder

    print(cache_folder())
