"""The kinds of findings: each file gives its own, docs/diagnosis.md lists all, and the faults plant each of them."""

from __future__ import annotations

import re
from pathlib import Path

from wellbegun.diagnosis import findings
from wellbegun.diagnosis.causes import CAUSES, NO_CAUSES

from .faults import FAULTS

ROOT = Path(__file__).parents[3]
FOLDER = Path(findings.__file__).parent

# told by a test of their own: an option, a note, a custom loss, several processes, or nothing that is planted
ELSEWHERE = {"large logits", "prior", "not judged", "replicas"}


def kinds() -> set[str]:
    """Every kind that a file of the registry can give, read from its source."""
    text = "".join(path.read_text("utf-8") for path in FOLDER.glob("*.py"))
    named = re.findall(r'Finding\(\s*"([a-z -]+)"', text) + re.findall(r'_at_output\(facts, "([a-z -]+)"', text)
    return {*named, "vanishing", "exploding"}


def test_every_kind_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "diagnosis.md").read_text("utf-8")
    table = page.partition("## What it finds")[2].partition("\n\nBounds")[0]
    listed = {kind for row in table.splitlines()[4:] for kind in row.split("|")[1].strip().split(", ")}
    assert listed - {"unused"} == kinds() - {"unused"}
    assert "unused" in listed


def test_every_file_is_in_the_registry() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "words"}
    assert {function.__module__.rpartition(".")[2] for function in findings.FINDINGS} == files


def test_every_kind_is_planted() -> None:
    planted = {kind for fault in FAULTS for kind in fault.kinds}
    assert kinds() - planted - {"unused"} == ELSEWHERE


def test_every_kind_explains_a_failure_or_is_known_to_explain_none() -> None:
    """The sentences of `wellbegun compare` come from here: a new kind has to say which it is."""
    assert set(CAUSES) | NO_CAUSES == kinds() | {"unused"}
    assert not set(CAUSES) & NO_CAUSES
    assert len(set(CAUSES.values())) == len(CAUSES)
    assert next(iter(CAUSES)) == "non-finite"  # everything else is measured on numbers that are none
