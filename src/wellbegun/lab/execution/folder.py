"""A run's folder: settings, versions, plans, results. An interrupted run goes on, and its report can be made again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wellbegun.errors import ArgumentError, OutputError
from wellbegun.lab.outcome.start import Start
from wellbegun.lab.trials.trial_result import TrialResult
from wellbegun.plans import load_plan, write_text_atomically

FORMAT = 1
SETTINGS, VERSIONS, TRIALS, STARTS, PLANS = "settings.json", "versions.json", "trials.jsonl", "starts.json", "plans"

_FREE = ("seeds", "target")
"""Settings that may change from one call to the next: more seeds are more trainings, and a target changes none."""


class RunFolder:
    """The folder of one comparison.

    Results are JSON lines, added by one process: a line that a kill cut off is dropped when the folder is opened
    again, and its training is done again. Lines need no further library, `pandas.read_json(path, lines=True)` reads
    them, and the largest comparison of the lab has a few thousand; Parquet would save disk, not time.

    Args:
        path: of the folder; it is made if it does not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: int | None = None

    def open(self, content: Mapping[str, Any]) -> dict[str, TrialResult]:
        """Start or go on with the comparison that `content` describes; return the results that are there.

        Args:
            content: what decides the numbers: "task", "settings", and the "versions" of the libraries.

        Raises:
            ArgumentError: the folder holds another comparison; says what differs.
            OutputError: the folder cannot be written, holds other things, or another process works in it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {str(self.path)!r}: {error.strerror}") from None
        self._take_lock()
        settings = self.path / SETTINGS
        if settings.exists():
            _check_same(self.content(), content, self.path)
        elif any(item.name != _LOCK for item in self.path.iterdir()):
            raise OutputError(f"{str(self.path)!r} is no run's folder and not empty: name an empty or a new one")
        head = {name: value for name, value in content.items() if name != "versions"}
        write_text_atomically(self.path / VERSIONS, _text(content["versions"]))
        write_text_atomically(settings, _text({"wellbegun_run": FORMAT, **head}))
        return self.results()

    def content(self) -> dict[str, Any]:
        """Return what `open` was given.

        Raises:
            ArgumentError: it is no run's folder, or one of another format.
        """
        try:
            record: dict[str, Any] = json.loads((self.path / SETTINGS).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ArgumentError(f"{str(self.path)!r} is no run's folder: cannot read {SETTINGS}: {error}") from None
        if record.pop("wellbegun_run", None) != FORMAT:
            raise ArgumentError(f"{str(self.path / SETTINGS)!r} is of a format that this release does not know")
        return record | {"versions": json.loads((self.path / VERSIONS).read_text("utf-8"))}

    def results(self) -> dict[str, TrialResult]:
        """Return the results that are whole, by key; a last line that was cut off is taken out of the file."""
        path = self.path / TRIALS
        if not path.exists():
            return {}
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data) and self._lock is not None:
            with path.open("r+b") as file:
                file.truncate(len(whole))
        found = (TrialResult.from_record(json.loads(line)) for line in whole.splitlines() if line.strip())
        return {result.trial.key: result for result in found}

    def add(self, results: Iterable[TrialResult]) -> None:
        """Add results; when this returns, they are on the disk."""
        lines = "".join(json.dumps(result.record(), allow_nan=False) + "\n" for result in results)
        with (self.path / TRIALS).open("ab") as file:
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())

    def keep_starts(self, starts: Mapping[str, Mapping[str, Start]]) -> None:
        """Keep plan and step 0 of each arm, by network and method."""
        (self.path / PLANS).mkdir(exist_ok=True)
        record: dict[str, Any] = {}
        for network, by_method in starts.items():
            for method, start in by_method.items():
                name = f"{PLANS}/{network}-{_slug(method)}.json"
                start.plan.save(self.path / name)
                record.setdefault(network, {})[method] = {"plan": name, **start.record()}
        write_text_atomically(self.path / STARTS, _text(record))

    def starts(self) -> dict[str, dict[str, Start]]:
        """Return plan and step 0 of each arm; empty before they were kept."""
        path = self.path / STARTS
        if not path.exists():
            return {}
        record = json.loads(path.read_text("utf-8"))
        return {
            network: {
                method: Start.from_record(one, load_plan(self.path / one["plan"])) for method, one in by_method.items()
            }
            for network, by_method in record.items()
        }

    def close(self) -> None:
        """Let another process work in the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> None:
        """One writer at a time; the system lets go of the lock when the process ends, however it ends."""
        self._lock = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR)
        try:
            import fcntl
        except ImportError:  # Windows: there two writers are not noticed
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise OutputError(
                f"another process works in {str(self.path)!r}: wait for it, or name another folder"
            ) from None


_LOCK = ".lock"


def _check_same(there: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    now = json.loads(json.dumps(now))
    different = [
        f"{part}.{key} was {there.get(part, {}).get(key)!r} and is now {now[part].get(key)!r}"
        for part in now
        for key in sorted({*there.get(part, {}), *now[part]})
        if there.get(part, {}).get(key) != now[part].get(key) and key not in _FREE
    ]
    if different:
        raise ArgumentError(
            f"{str(path)!r} holds another comparison: {'; '.join(different)}. Name another folder, or repeat what made "
            "this one"
        )


def _slug(method: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_.=" else "_" for letter in method)


def _text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=1, allow_nan=False) + "\n"
