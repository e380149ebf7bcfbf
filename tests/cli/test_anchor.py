"""wellbegun anchor: the list, one measurement, its exit code, and what it refuses."""

from __future__ import annotations

import json

import pytest

from wellbegun.lab.anchors import catalogue
from wellbegun.lab.anchors.anchor import Anchor, Table
from wellbegun.lab.anchors.gate import Gate


@pytest.fixture
def toy(monkeypatch):
    """An anchor that measures what its gate asks for, and one that does not."""
    made = {}
    for name, value in (("right", 2.0), ("wrong", 1.0)):
        made[name] = Anchor(
            name=name,
            title="One number",
            source="Nobody (1999).",
            reported="Two.",
            setup="A number is made.",
            differs="Everything.",
            minutes=0.1,
            measure=lambda asked, value=value: {"number": value, "quick": asked.quick},
            tables=lambda results: [Table(["number"], [[str(results["number"])]])],
            gates=(Gate("the number", lambda results: results["number"], at_least=1.5),),
            headline=lambda results: f"the number is {results['number']:g}",
            findings=lambda results: "That is all.",
            methods=("he",),
        )
    monkeypatch.setattr(catalogue, "ANCHORS", made)
    return made


@pytest.mark.usefixtures("toy")
def test_exit_codes_and_record(invoke, tmp_path):
    for name, code, holds in (("right", 0, True), ("wrong", 1, False)):
        done = invoke("anchor", name, "--quick", "--json", "-", cwd=tmp_path)
        assert done.returncode == code
        record = json.loads(done.stdout)
        assert record["anchor"] == name
        assert record["quick"] is True
        assert [gate["holds"] for gate in record["gates"]] == [holds]
        assert record["results"]["quick"] is True
    assert invoke("anchor", "rigth", cwd=tmp_path).returncode == 2
    assert "right" in invoke("anchor", "rigth", cwd=tmp_path).stderr


@pytest.mark.usefixtures("toy")
def test_a_page_is_written_from_the_whole_measurement_only(invoke, tmp_path):
    assert "no folder" in invoke("anchor", "right", "--write", cwd=tmp_path).stderr
    pages = tmp_path / "docs" / "anchors"
    pages.mkdir(parents=True)
    refused = invoke("anchor", "right", "--write", "--quick", cwd=tmp_path)
    assert refused.returncode == 2
    assert "leave --quick" in refused.stderr
    assert list(pages.iterdir()) == []
    assert invoke("anchor", "wrong", "--write", cwd=tmp_path).returncode == 1
    assert "Not reproduced here: the number." in (pages / "wrong.md").read_text("utf-8")
    assert json.loads((pages / "results" / "wrong.json").read_text())["number"] == 1.0
    assert "the number is 1 | 0 of 1" in (pages / "README.md").read_text("utf-8")
    before = {file: file.read_text("utf-8") for file in pages.rglob("*.*")}
    (pages / "wrong.md").write_text("edited by hand")
    (pages / "README.md").unlink()
    assert invoke("anchor", "--write", cwd=tmp_path).returncode == 0
    assert {file: file.read_text("utf-8") for file in pages.rglob("*.*")} == before


def test_the_list_names_every_anchor_and_what_has_to_come_out(invoke, tmp_path):
    shown = invoke("anchor", cwd=tmp_path, width=200).stdout
    rows = json.loads(invoke("anchor", "--json", "-", cwd=tmp_path).stdout)
    assert {row["name"] for row in rows} == set(catalogue.ANCHORS)
    for row in rows:
        assert row["name"] in shown
        assert row["minutes"] > 0
        assert all(gate["bound"] for gate in row["gates"])
