"""Every Python block of the README and the docs runs; the cards in docs/methods/ are those of the docstrings."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import wellbegun as wb
from wellbegun.laws import LEFT_OUT, NEEDS, by_need
from wellbegun.tuning.cards import all_cards

ROOT = Path(__file__).parents[1]
ROOMS = ("docs", "docs/anchors", "docs/guides", "docs/papers")
PAGES = sorted([ROOT / "README.md", *(page for room in ROOMS for page in (ROOT / room).glob("*.md"))])
METHODS = ROOT / "docs" / "methods"
sys.path.append(str(ROOT / "docs"))

from card_figures.catalogue import CardFigure, card_figures  # noqa: E402
from card_figures.likeness import differences  # noqa: E402


def blocks(page: Path) -> list[str]:
    """But for whole scripts, which name their file in the first line; tests/test_guides.py runs those."""
    return re.findall(r"```python\n(?!# \w+\.py\n)(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_code_blocks_run(page, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "import jax" in page.read_text("utf-8"):
        run_apart(blocks(page))
        return
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.startswith(">>>"):
            run_examples(block, names, page.name)
        else:
            exec(compile(block, page.name, "exec"), names)


def run_apart(parts: list[str]) -> None:
    """In a process of its own: once JAX has started, it warns of every fork, and other tests fork."""
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, "-W", "error", "-c", "\n".join(parts)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def run_examples(text: str, names: dict[str, object], where: str) -> None:
    test = doctest.DocTestParser().get_doctest(text, names, where, where, 0)
    results = doctest.DocTestRunner().run(test, clear_globs=False)
    names.update(test.globs)
    assert results.attempted
    assert results.failed == 0


def page_of(name: str) -> Path:
    return METHODS / f"{name}.md"


def overview() -> str:
    """The list of all cards, by what they are for, and of what has none."""
    intro = "One card for each method, made from its docstring. `wellbegun explain NAME` shows the same."
    lines = ["# Methods", "", intro]
    for need, cards in by_need(all_cards()).items():
        lines += ["", f"## {need[0].upper()}{need[1:]}", ""]
        lines += [f"- [{card.name}]({card.name}.md): {card.summary}" for card in cards]
    lines += ["", "## Left out", "", *(f"- {name}: {reason}." for name, reason in LEFT_OUT)]
    return "\n".join(lines) + "\n"


def test_cards_are_those_of_the_docstrings() -> None:
    """One source of truth. After a change of a docstring: WELLBEGUN_WRITE_CARDS=1 pytest tests/test_docs.py."""
    pages = {page_of(card.name): card.markdown(figure=f"{card.name}.svg") for card in all_cards()}
    expected = pages | {METHODS / "README.md": overview()}
    if os.environ.get("WELLBEGUN_WRITE_CARDS"):
        METHODS.mkdir(exist_ok=True)
        for path, text in expected.items():
            path.write_text(text, "utf-8")
    assert {path.name for path in METHODS.glob("*.md")} == {path.name for path in expected}
    for path, text in expected.items():
        assert path.read_text("utf-8") == text, path.name


def figure_of(name: str) -> Path:
    return METHODS / f"{name}.svg"


def test_every_card_has_its_figure() -> None:
    """After a change: WELLBEGUN_WRITE_CARDS=1 pytest tests/test_docs.py, which draws those that differ again."""
    figures = card_figures()
    if os.environ.get("WELLBEGUN_WRITE_CARDS"):
        for figure in figures:
            path, drawn = figure_of(figure.name), figure.draw()
            if not path.exists() or differences(path.read_text("utf-8"), drawn):
                path.write_text(drawn, "utf-8")
    assert {path.stem for path in METHODS.glob("*.svg")} == {card.name for card in all_cards()}
    for path in METHODS.glob("*.svg"):
        assert path.stat().st_size < 60_000, path.name
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
        assert f"]({path.name})" in page_of(path.stem).read_text("utf-8")


LAWS_AND_RECIPES = [figure for figure in card_figures() if figure.note or figure.is_cheap]


@pytest.mark.parametrize("figure", LAWS_AND_RECIPES, ids=lambda figure: figure.name)
def test_the_figures_of_cards_are_made_from_what_there_is_today(figure: CardFigure) -> None:
    """Those of laws are drawn again; those of recipes hold the hash of the plan that they were measured with."""
    kept = figure_of(figure.name).read_text("utf-8")
    if figure.note is not None:
        assert f"<!-- {figure.note()} -->" in kept
    else:
        assert not differences(kept, figure.draw())


@pytest.mark.slow
@pytest.mark.parametrize("figure", card_figures(), ids=lambda figure: figure.name)
def test_the_figures_of_cards_are_those_that_are_drawn_today(figure: CardFigure) -> None:
    assert not differences(figure_of(figure.name).read_text("utf-8"), figure.draw())


@pytest.mark.parametrize("card", all_cards(), ids=lambda card: card.name)
def test_every_card_is_complete_and_its_example_runs(card) -> None:
    assert card.summary.endswith(".")
    assert card.need in NEEDS
    assert card.formula
    assert card.use
    assert card.avoid
    assert card.source
    names = {name: getattr(wb, name) for name in wb.__all__}
    from wellbegun.recipes.author import AuthorRecipe
    from wellbegun.recipes.auto import Auto

    recipes = {"Auto": Auto, "AuthorRecipe": AuthorRecipe, "plan": wb.plan}
    run_examples(card.example + "\n", names | recipes, card.name)


def test_links_of_the_docs_lead_somewhere() -> None:
    for page in [*PAGES, *METHODS.glob("*.md")]:
        prose = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", prose):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_tests_that_the_cases_name_exist() -> None:
    missing = []
    for line in (ROOT / "docs" / "cases.md").read_text("utf-8").splitlines():
        file = ""
        for named in re.findall(r"`([^`\s]*)`", line):
            path, _, function = named.partition("::")
            if path.startswith("tests/"):
                file = path
            if not (named.startswith("::") or path.startswith("tests/")):
                continue
            place = ROOT / file
            text = place.read_text("utf-8") if place.is_file() else ""
            if not place.exists() or (function and f"def {function}(" not in text):
                missing.append(f"{file}::{function}")
    assert not missing
