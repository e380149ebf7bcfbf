"""Plans as JSON files: written whole or not at all, read without running anything."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from wellbegun.errors import OutputError, PlanFileError
from wellbegun.laws import Fans, Keep, law_from_record, law_to_record
from wellbegun.plans.entry import Entry
from wellbegun.plans.multiplier import multiplier_records, multipliers_from_records
from wellbegun.plans.plan import Plan
from wellbegun.plans.values import side_files, split_record, with_side_file
from wellbegun.sampler import SAMPLER_VERSION

FORMAT = 2
SCHEMA = f"wellbegun.plan/{FORMAT}"
_TEXTS = ("name", "kind", "dtype", "role", "initializer", "reason", "source", "stream")
_OPTIONAL_NUMBERS = ("before", "after", "measured")
_FACTORS = ("lr_factor", "decay_factor", "eps_factor")


def plan_to_record(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain data, stored numbers among them."""
    entries = [_entry_record(entry) for entry in plan]
    head: dict[str, Any] = {"schema": SCHEMA, "sampler": plan.sampler, "recipe": plan.recipe, "seed": plan.seed}
    if plan.multipliers:
        head["multipliers"] = multiplier_records(plan.multipliers)
    return head | {"hash": plan.hash, "values": None, "entries": entries}


def plan_from_record(record: Any, folder: str | Path | None = None) -> Plan:
    """Make the plan that plain data describes.

    Args:
        record: what `plan_to_record` or a plan's file gives.
        folder: where the file with its stored numbers lies, if it has one.

    Raises:
        PlanFileError: not a plan, a version that this release does not know, content that does not match its hash, or
            the file with its stored numbers is missing or damaged.
    """
    _check_versions(record)
    record = with_side_file(record, folder)
    try:
        entries = tuple(_entry(item) for item in record["entries"])
        multipliers = multipliers_from_records(record.get("multipliers", []))
        plan = Plan(entries, record["seed"], record["recipe"], record["sampler"], multipliers)
    except (KeyError, TypeError, ValueError) as error:
        raise PlanFileError(f"the plan is damaged: {type(error).__name__}: {error}") from None
    if record.get("hash") != plan.hash:
        raise PlanFileError("the plan's content does not match its hash: it was changed by hand or damaged")
    return plan


def save_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan as JSON, and stored numbers that are many into a safetensors file beside it.

    The file beside it is called after the plan and its own SHA-256, and is written first: an interruption leaves the
    old plan with its old numbers.

    Raises:
        OutputError: the folder does not exist or cannot be written.
    """
    target = Path(path)
    check_writable(target)
    record, side = split_record(plan_to_record(plan), target.name)
    old, made = side_files(target), None
    if side is not None:
        made = target.parent / record["values"]["file"]
        write_bytes_atomically(made, side)
    try:
        write_text_atomically(target, "".join(_lines(record)))
    except OutputError:
        if made is not None and made not in old:
            made.unlink(missing_ok=True)
        raise
    for stale in old:
        if stale != made:
            stale.unlink(missing_ok=True)


def load_plan(path: str | Path) -> Plan:
    """Read a plan that `save` wrote.

    Raises:
        PlanFileError: the file cannot be read or is no plan, or the file with its stored numbers is missing or damaged.
    """
    try:
        text = Path(path).read_text("utf-8")
        record = json.loads(text)
    except OSError as error:
        raise PlanFileError(f"cannot read the plan {str(path)!r}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        cut = ": it ends too early, as a file does that was cut off" if error.pos >= len(text.rstrip()) - 1 else ""
        raise PlanFileError(f"{str(path)!r} is not JSON{cut}: {error}") from None
    except ValueError as error:
        raise PlanFileError(f"{str(path)!r} is not JSON: {error}") from None
    try:
        return plan_from_record(record, Path(path).parent)
    except PlanFileError as error:
        raise PlanFileError(f"{str(path)!r}: {error}") from None


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write a text file so that it appears whole or not at all.

    Raises:
        OutputError: the folder does not exist or cannot be written.
    """
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all.

    Raises:
        OutputError: the folder does not exist or cannot be written.
    """
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise OutputError(f"cannot write into {str(target.parent)!r}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
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


def _check_versions(record: Any) -> None:
    if not isinstance(record, dict) or not ("schema" in record or "wellbegun_plan" in record):
        raise PlanFileError("this is no wellbegun plan: the key 'schema' is missing")
    schema = record.get("schema", f"wellbegun.plan/{record.get('wellbegun_plan')}")
    for what, given, known in (("format", schema, SCHEMA), ("sampler", record.get("sampler"), SAMPLER_VERSION)):
        if given != known or isinstance(given, bool):
            newer = _number(given) > _number(known)
            hint = "it was made by a newer wellbegun: update" if newer else "make the plan again"
            raise PlanFileError(f"{what} is {given!r}; this release reads {known!r}; {hint}")


def _number(version: object) -> int:
    found = re.search(r"\d+$", str(version))
    return int(found[0]) if found else 0


def _lines(record: dict[str, Any]) -> Iterator[str]:
    """The record as JSON with one entry a line, so that tools for text show which tensors changed."""
    head = {key: value for key, value in record.items() if key != "entries"}
    yield json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False)[:-2] + ',\n "entries": ['
    for position, entry in enumerate(record["entries"]):
        yield ("," if position else "") + "\n  " + json.dumps(entry, ensure_ascii=False, allow_nan=False)
    yield "\n ]\n}\n"


def _entry_record(entry: Entry) -> dict[str, Any]:
    """Without factors of 1, so that the files of recipes that have none can be read by earlier releases."""
    item = asdict(replace(entry, law=Keep())) | {"law": law_to_record(entry.law)}
    return {key: value for key, value in item.items() if key not in _FACTORS or value != 1}


def _entry(item: dict[str, Any]) -> Entry:
    values = {"uses": 1, "measured": None, "persistent": True} | item  # plans of the first releases do not have these
    for name in _FACTORS:
        factor = values.get(name, 1.0)
        if not isinstance(factor, (int, float)) or isinstance(factor, bool) or not 0 <= factor < math.inf:
            raise PlanFileError(f"{values['name']}: {name} must be a number, at least 0, got {factor!r}")
    for name in _TEXTS:
        if not isinstance(values[name], str):
            raise PlanFileError(f"{name} must be text, got {values[name]!r}")
    for name in _OPTIONAL_NUMBERS:
        if values[name] is not None and not isinstance(values[name], (int, float)):
            raise PlanFileError(f"{name} must be a number or null, got {values[name]!r}")
    shape = tuple(values["shape"])
    if not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape):
        raise PlanFileError(f"{values['name']}: shape must be a list of sizes, got {values['shape']!r}")
    if not isinstance(values["ties"], (list, tuple)) or not all(isinstance(name, str) for name in values["ties"]):
        raise PlanFileError(f"{values['name']}: ties must be a list of names, got {values['ties']!r}")
    if values["kind"] not in ("parameter", "buffer"):
        raise PlanFileError(f"{values['name']}: kind must be 'parameter' or 'buffer', got {values['kind']!r}")
    uses = values["uses"]
    if not isinstance(uses, int) or isinstance(uses, bool) or uses < 1:
        raise PlanFileError(f"{values['name']}: uses must be a whole number of at least 1, got {uses!r}")
    if not isinstance(values["persistent"], bool):
        raise PlanFileError(f"{values['name']}: persistent must be true or false, got {values['persistent']!r}")
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
