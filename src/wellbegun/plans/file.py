"""Plans as JSON files: written whole or not at all, read without running anything."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wellbegun.errors import OutputError, PlanFileError
from wellbegun.laws import Fans, law_from_record, law_to_record
from wellbegun.plans.entry import Entry
from wellbegun.plans.plan import Plan
from wellbegun.sampler import SAMPLER_VERSION

FORMAT = 1
_TEXTS = ("name", "kind", "dtype", "role", "initializer", "reason", "source", "stream")
_OPTIONAL_NUMBERS = ("before", "after", "measured")


def plan_to_record(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain data."""
    entries = [asdict(entry) | {"law": law_to_record(entry.law)} for entry in plan]
    head = {"wellbegun_plan": FORMAT, "sampler": plan.sampler, "recipe": plan.recipe, "seed": plan.seed}
    return head | {"hash": plan.hash, "entries": entries}


def plan_from_record(record: Any) -> Plan:
    """Make the plan that plain data describes.

    Raises:
        PlanFileError: not a plan, a version that this release does not know, or content that does not match its hash.
    """
    if not isinstance(record, dict) or "wellbegun_plan" not in record:
        raise PlanFileError("this is no wellbegun plan: the key 'wellbegun_plan' is missing")
    for key, known in (("wellbegun_plan", FORMAT), ("sampler", SAMPLER_VERSION)):
        if record.get(key) != known:
            raise PlanFileError(f"{key} is {record.get(key)!r}; this release reads {known}")
    try:
        entries = tuple(_entry(item) for item in record["entries"])
        plan = Plan(entries, record["seed"], record["recipe"], record["sampler"])
    except (KeyError, TypeError, ValueError) as error:
        raise PlanFileError(f"the plan is damaged: {type(error).__name__}: {error}") from None
    if record.get("hash") != plan.hash:
        raise PlanFileError("the plan's content does not match its hash: it was changed by hand or damaged")
    return plan


def save_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan as JSON through a temporary file in the same folder.

    Raises:
        OutputError: the folder does not exist or cannot be written.
    """
    write_text_atomically(path, json.dumps(plan_to_record(plan), indent=1) + "\n")


def load_plan(path: str | Path) -> Plan:
    """Read a plan that `save` wrote.

    Raises:
        PlanFileError: the file cannot be read or is no plan.
    """
    try:
        record = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise PlanFileError(f"cannot read the plan {str(path)!r}: {error.strerror}") from None
    except ValueError as error:
        raise PlanFileError(f"{str(path)!r} is not JSON: {error}") from None
    return plan_from_record(record)


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write a text file so that it appears whole or not at all.

    Raises:
        OutputError: the folder does not exist or cannot be written.
    """
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise OutputError(f"cannot write into {str(target.parent)!r}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # mkstemp makes private files; give the result the permissions that open() would have given it
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, target)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"cannot write {str(target)!r}: {error.strerror}") from None
        raise


def check_writable(path: str | Path) -> None:
    """Raise OutputError unless a file can be written there: asked before hours of work, not after.

    Raises:
        OutputError: the folder does not exist or cannot be written, or the path is a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"cannot write {str(target)!r}: it is a folder; name a file in it")
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise OutputError(f"cannot write into {str(target.parent)!r}: {error.strerror}") from None
    os.close(handle)
    Path(temporary).unlink()


def _entry(item: dict[str, Any]) -> Entry:
    values = {"uses": 1, "measured": None} | item  # plans of the first releases do not have these
    for name in _TEXTS:
        if not isinstance(values[name], str):
            raise PlanFileError(f"{name} must be text, got {values[name]!r}")
    for name in _OPTIONAL_NUMBERS:
        if values[name] is not None and not isinstance(values[name], (int, float)):
            raise PlanFileError(f"{name} must be a number or null, got {values[name]!r}")
    shape = tuple(values["shape"])
    if not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape):
        raise PlanFileError(f"{values['name']}: shape must be a list of sizes, got {values['shape']!r}")
    if not isinstance(values["ties"], list) or not all(isinstance(name, str) for name in values["ties"]):
        raise PlanFileError(f"{values['name']}: ties must be a list of names, got {values['ties']!r}")
    if values["kind"] not in ("parameter", "buffer"):
        raise PlanFileError(f"{values['name']}: kind must be 'parameter' or 'buffer', got {values['kind']!r}")
    uses = values["uses"]
    if not isinstance(uses, int) or isinstance(uses, bool) or uses < 1:
        raise PlanFileError(f"{values['name']}: uses must be a whole number of at least 1, got {uses!r}")
    row, rows = values["zero_row"], shape[0] if shape else 0
    if row is not None and (not isinstance(row, int) or isinstance(row, bool) or not 0 <= row < rows):
        raise PlanFileError(f"{values['name']}: zero_row must be null or a row of {list(shape)}, got {row!r}")
    fans = values["fans"]
    values |= {
        "shape": shape,
        "law": law_from_record(values["law"]),
        "fans": None if fans is None else Fans(**fans),
        "ties": tuple(values["ties"]),
    }
    return Entry(**values)
