"""Stored numbers that are too many for JSON: a safetensors file beside the plan, known by its SHA-256."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wellbegun.errors import PlanFileError

INLINE = 4096
"""Bytes up to which stored numbers stand in the JSON itself."""


def split_record(record: dict[str, Any], name: str) -> tuple[dict[str, Any], bytes | None]:
    """Take the large numbers out of a plan's record.

    Args:
        record: of a plan, complete.
        name: of the plan's file.

    Returns:
        The record, in which "values" tells the file beside the plan, and that file's content; None if none is needed.
    """
    taken: dict[str, Any] = {}

    def take(law: dict[str, Any]) -> dict[str, Any]:
        text = law["base64"]
        if len(text) * 3 // 4 <= INLINE:
            return law
        kind = np.dtype(law["dtype"]).newbyteorder("<")
        numbers = np.frombuffer(base64.b64decode(text), kind)
        if kind.kind == "c":  # safetensors knows no complex128: both parts, side by side
            numbers = numbers.view(f"<f{kind.itemsize // 2}").reshape(-1, 2)
            taken[law["sha256"]] = numbers.reshape(*law["shape"], 2)
        else:
            taken[law["sha256"]] = numbers.reshape(law["shape"])
        return {key: value for key, value in law.items() if key != "base64"}

    entries = [entry | {"law": _replaced(entry["law"], "base64", take)} for entry in record["entries"]]
    if not taken:
        return record, None
    from safetensors.numpy import save

    content = save(dict(sorted(taken.items())))
    digest = hashlib.sha256(content).hexdigest()
    values = {"file": f"{name}.{digest[:16]}.safetensors", "sha256": digest}
    return record | {"values": values, "entries": entries}, content


def with_side_file(record: dict[str, Any], folder: str | Path | None) -> dict[str, Any]:
    """Put the numbers of the file beside a plan back into its record.

    Raises:
        PlanFileError: the file is missing, cut off or changed, or lacks numbers that the plan asks for.
    """
    values = record.get("values")
    if values is None:
        return record
    arrays = _read(values, folder)

    def put(law: dict[str, Any]) -> dict[str, Any]:
        if "base64" in law:
            return law
        if law["sha256"] not in arrays:
            raise PlanFileError(f"the file {values['file']!r} lacks the stored numbers {str(law['sha256'])[:16]!r}")
        return law | {"base64": base64.b64encode(arrays[law["sha256"]].tobytes()).decode("ascii")}

    entries = record.get("entries")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "law" in entry for entry in entries):
        raise PlanFileError("the plan is damaged: its entries are not a list of entries with laws")
    return record | {"entries": [entry | {"law": _replaced(entry["law"], "sha256", put)} for entry in entries]}


def side_files(path: Path) -> list[Path]:
    """Return the files beside a plan that hold numbers of it or of an older plan in its place."""
    pattern = re.compile(re.escape(path.name) + r"\.[0-9a-f]{16}\.safetensors")
    return [other for other in path.parent.iterdir() if pattern.fullmatch(other.name)]


def _read(values: Any, folder: str | Path | None) -> dict[str, Any]:
    is_named = isinstance(values, dict) and all(isinstance(values.get(key), str) for key in ("file", "sha256"))
    if not is_named or Path(values["file"]).name != values["file"]:
        raise PlanFileError(f"values must name a file beside the plan and its sha256, got {values!r}")
    if folder is None:
        raise PlanFileError(f"the plan's stored numbers are in {values['file']!r}: load it with load_plan(path)")
    place = Path(folder) / values["file"]
    try:
        content = place.read_bytes()
    except OSError as error:
        hint = "copy it along with the plan" if isinstance(error, FileNotFoundError) else "is it readable?"
        raise PlanFileError(
            f"the plan's stored numbers are in {values['file']!r}, which cannot be read ({error.strerror}); {hint}"
        ) from None
    if hashlib.sha256(content).hexdigest() != values["sha256"]:
        raise PlanFileError(
            f"{values['file']!r} does not have the sha256 that the plan names: it was cut off or changed"
        )
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(content))
    except SafetensorError as error:
        raise PlanFileError(f"{values['file']!r} is no safetensors file: {error}") from None


def _replaced(record: Any, key: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Change every dictionary with this key inside a law's record."""
    if isinstance(record, list):
        return [_replaced(part, key, change) for part in record]
    if not isinstance(record, dict):
        return record
    if key in record:
        return change(record)
    return {name: _replaced(part, key, change) for name, part in record.items()}
