"""wellbegun compare: what the choice of starting weights does to a network, on real data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from wellbegun.errors import ArgumentError

if TYPE_CHECKING:
    from wellbegun.lab import Comparison

STDOUT, INTERRUPTED = "-", 130


def compare_command(
    task: Annotated[
        str, typer.Argument(help="What to learn: a name (digits), a folder of pictures, or module:factory.")
    ] = "digits",
    methods: Annotated[
        str, typer.Option(help="Comma-separated, with arguments if wanted: 'he,normal(std=0.02),auto'. Default: ten.")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions; one knows only the chance of the test images.")] = 5,
    activation: Annotated[str, typer.Option(help="Comma-separated; one network for each. [default: tanh,relu]")] = "",
    depth: Annotated[int | None, typer.Option(min=1, help="Hidden layers or blocks. [default: 20]")] = None,
    width: Annotated[int | None, typer.Option(min=1, help="Units or channels of each. [default: 64]")] = None,
    network: Annotated[str, typer.Option(help="One of the lab's networks, or module:function. [default: plain]")] = "",
    rates: Annotated[str, typer.Option(help="Learning rates, comma-separated. [default: four]")] = "",
    optimizer: Annotated[str, typer.Option(help="sgd (momentum 0.9) or adam.")] = "sgd",
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 250,
    batch: Annotated[int, typer.Option(min=1, help="Examples in a step.")] = 64,
    out: Annotated[Path | None, typer.Option(help="Folder for plans and results; the same command goes on.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget; what is left out is said.")] = None,
    executor: Annotated[
        str, typer.Option(help="here, processes[:N], dask, dask://HOST:PORT or module:function. [default: by the work]")
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer steps and learning rates: a first look.")] = False,
    html: Annotated[Path | None, typer.Option(help="Page to write. [default: wellbegun-TASK.html]")] = None,
    json_file: Annotated[
        str, typer.Option("--json", metavar="FILE", help="Also write everything as JSON; '-' for stdout alone.")
    ] = "",
) -> None:
    """Train the same network under several methods and say which starting weights are right, and why."""
    from wellbegun.lab import METHODS, Settings, checked, compare
    from wellbegun.lab.report.page import require_report
    from wellbegun.lab.tasks import find_task
    from wellbegun.plans import check_writable

    find_task(task)
    page = html or Path(f"wellbegun-{''.join(x if x.isalnum() or x in '-_' else '_' for x in task)}.html")
    for path in [page, *([Path(json_file)] if json_file not in ("", STDOUT) else [])]:
        check_writable(path)
    console = Console(stderr=json_file == STDOUT)
    chosen = tuple(split_methods(methods)) if methods else METHODS
    activations = tuple(name.strip() for name in activation.split(",") if name.strip())
    if not network:  # refuse bad names before data are loaded
        checked(Settings(chosen, seeds, activations or ("tanh",), depth or 20, width or 64))
    require_report()
    try:
        with progress_bar(console) as progress:
            bar = progress.add_task("preparing", total=None)

            def on_progress(done: int, total: int, what: str) -> None:
                progress.update(bar, completed=done, total=total, description=f"training {what}")

            comparison = compare(
                task,
                chosen,
                seeds=seeds,
                activations=activations or None,
                depth=depth,
                width=width,
                network=network or None,
                rates=[_rate(text) for text in rates.split(",") if text.strip()],
                optimizer=optimizer,
                steps=steps,
                batch=batch,
                executor=executor or None,
                out=out,
                minutes=minutes,
                quick=quick,
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        console.print("interrupted before the first seed was finished: there is nothing to show", style="yellow")
        raise typer.Exit(INTERRUPTED) from None
    _show(comparison, console, page, json_file)
    if comparison.interrupted:
        raise typer.Exit(INTERRUPTED)


def _rate(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(f"--rates takes numbers with commas between them, got {text.strip()!r}") from None


def report_command(
    folder: Annotated[Path, typer.Argument(help="A folder that `wellbegun compare --out` wrote.")],
    html: Annotated[Path | None, typer.Option(help="Page to write. [default: FOLDER/report.html]")] = None,
    json_file: Annotated[str, typer.Option("--json", metavar="FILE", help="Also as JSON; '-' for stdout alone.")] = "",
) -> None:
    """Make table, page and figures of a run's folder again; nothing is trained."""
    from wellbegun.lab.outcome.assemble import from_folder
    from wellbegun.lab.report.page import require_report

    require_report()
    _show(from_folder(folder), Console(stderr=json_file == STDOUT), html or folder / "report.html", json_file)


def split_methods(text: str) -> list[str]:
    """Split at commas outside of brackets.

    >>> split_methods("he, normal(std=0.02,mean=0), auto")
    ['he', 'normal(std=0.02,mean=0)', 'auto']
    """
    parts, depth, current = [], 0, ""
    for character in text + ",":
        depth += (character == "(") - (character == ")")
        if character == "," and depth <= 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    if current.strip():  # a bracket that was never closed: let the method's own error speak
        parts.append(current.rstrip(",").strip())
    return [part for part in parts if part]


def _show(comparison: Comparison, console: Console, page: Path, json_file: str) -> None:
    from wellbegun.lab import comparison_to_record
    from wellbegun.lab.report.page import write_page
    from wellbegun.lab.report.table import comparison_renderables
    from wellbegun.plans import write_text_atomically

    console.print()
    console.print(comparison.description, style="dim")
    for shown in comparison_renderables(comparison, console.width):
        console.print(shown)
    text = json.dumps(comparison_to_record(comparison), indent=1)
    if json_file == STDOUT:
        print(text)
    elif json_file:
        write_text_atomically(json_file, text + "\n")
        console.print(f"Everything as data: [bold]{json_file}[/]", highlight=False)
    write_page(comparison, page)
    console.print(f"Curves, profiles and the winner's plan: [bold]{page}[/]", highlight=False)


def progress_bar(console: Console) -> Progress:
    """Return a bar with a percentage, the time gone and the time left, which disappears when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
