"""The JSON Schema of a diagnosis: what a program may rely on."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that the text of `Diagnosis.to_json` follows.

    >>> json_schema()["properties"]["schema"]["const"]
    'wellbegun.diagnosis/1'

    The number behind the name changes when a program that reads the JSON has to change; names that are new do not
    change it.
    """
    found: dict[str, Any] = json.loads(
        resources.files("wellbegun.diagnosis").joinpath("schema.json").read_text("utf-8")
    )
    return found
