"""Anchors: pages are made from their numbers, gates hold or the page says that they do not, the short forms run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.lab.anchors.anchor import Anchor, Asked
from wellbegun.lab.anchors.catalogue import ANCHORS, evidence_for, find_anchor
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.kept import evidence, kept
from wellbegun.lab.anchors.measured import measured
from wellbegun.lab.anchors.page import INDEX, index_of
from wellbegun.lab.data import find_set
from wellbegun.lab.measured_page import digest
from wellbegun.tuning.cards import find_card

PAGES = Path(__file__).parents[3] / "docs" / "anchors"
FAST = {"router_and_prior"}
"""Anchors whose short form takes less than three seconds."""

every_anchor = pytest.mark.parametrize("anchor", ANCHORS.values(), ids=list(ANCHORS))
short_forms = pytest.mark.parametrize(
    "anchor", [pytest.param(a, id=n, marks=() if n in FAST else pytest.mark.slow) for n, a in ANCHORS.items()]
)


@every_anchor
def test_the_page_is_made_from_its_numbers(anchor: Anchor) -> None:
    """A page that was edited by hand, or an anchor that was changed without --write, is found here."""
    page = anchor.measured_page(PAGES)
    assert page.page_file.read_text("utf-8") == page.text(page.load())


@every_anchor
def test_the_figure_is_drawn_from_the_same_numbers(anchor: Anchor) -> None:
    page = anchor.measured_page(PAGES)
    file = page.figure_file("figure")
    assert file.exists() == (anchor.figure is not None)
    if anchor.figure is not None:
        assert digest(page.load()) in file.read_text("utf-8")
        assert f"figures/{file.name}" in page.page_file.read_text("utf-8")
        assert file.stat().st_size < 250_000


@every_anchor
def test_gates_hold_in_the_numbers_kept_or_the_page_says_that_they_do_not(anchor: Anchor) -> None:
    page = anchor.measured_page(PAGES)
    text = " ".join(page.page_file.read_text("utf-8").split())
    checks = anchor.checks(page.load())
    assert checks
    failed = [check.what for check in checks if not check.holds]
    assert ("Not reproduced here:" in text) == bool(failed)
    assert text.count("**does not hold**") == len(failed)
    for what in failed:
        assert what in text.split("Not reproduced here:")[1]


def test_the_list_is_made_from_the_same_numbers_and_nothing_is_left_over() -> None:
    measured_before = kept(PAGES, ANCHORS.values())
    assert [anchor for anchor, _ in measured_before] == list(ANCHORS.values())
    assert (PAGES / INDEX).read_text("utf-8") == index_of(measured_before)
    assert {file.stem for file in (PAGES / "results").iterdir()} == set(ANCHORS)
    assert {file.name for file in PAGES.glob("*.md")} == {INDEX, *(f"{name}.md" for name in ANCHORS)}
    figures = {anchor.measured_page(PAGES).figure_file("figure").name for anchor in ANCHORS.values() if anchor.figure}
    assert {file.name for file in (PAGES / "figures").iterdir()} == figures


@short_forms
def test_the_short_form_holds_too(anchor: Anchor) -> None:
    missing = [name for name in anchor.needs if not find_set(name).is_here]
    if missing:
        pytest.skip(f"needs data that are not here: {', '.join(missing)}")
    seen: list[tuple[int, int]] = []
    results = measured(anchor, Asked(quick=True, on_progress=lambda done, total, _: seen.append((done, total))))
    assert [check for check in anchor.checks(results, quick=True) if not check.holds] == []
    assert anchor.tables(results)
    assert anchor.headline(results)
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
    json.dumps(results, allow_nan=False)


@every_anchor
def test_methods_that_an_anchor_speaks_of_have_cards(anchor: Anchor) -> None:
    assert anchor.methods
    for name in anchor.methods:
        assert find_card(name).name == name
        assert anchor in evidence_for(name)


def test_cards_tell_what_anchors_found() -> None:
    """After a change of numbers: `wellbegun anchor --write`, then the cards as tests/test_docs.py says."""
    told = evidence(kept(PAGES, ANCHORS.values()))
    assert told
    for method, sentences in told.items():
        assert find_card(method).evidence.endswith(" ".join(sentences))
        assert ("Evidence", find_card(method).evidence) in find_card(method).paragraphs()


def test_what_cannot_be_measured_is_refused_before_it_starts() -> None:
    anchor = find_anchor("router-and-prior")
    with pytest.raises(ArgumentError, match="runs on cpu, got 'cuda'"):
        measured(anchor, Asked(device="cuda"))
    with pytest.raises(ArgumentError, match="has no depth to choose, got 9"):
        measured(anchor, Asked(depth=9))
    with pytest.raises(UnknownNameError, match="router_and_prior"):
        find_anchor("router")


def test_a_gate_holds_within_its_bounds_only() -> None:
    gate = Gate("share", lambda results: results["share"], at_least=0.2, at_most=0.4)
    assert gate.bound == "at least 0.2 and at most 0.4"
    assert [gate.check({"share": share}).holds for share in (0.1, 0.2, 0.4, 0.5, float("nan"))] == [
        False, True, True, False, False,
    ]  # fmt: skip
