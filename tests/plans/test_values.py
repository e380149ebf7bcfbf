"""Stored numbers beside a plan: written first, checked on load."""

import json
from pathlib import Path

import numpy as np
import pytest

from wellbegun.errors import OutputError, PlanFileError
from wellbegun.laws import Constant, Patched, Stored
from wellbegun.plans import Entry, Plan, load_plan, plan_from_record, plan_to_record


def entry(name: str, values: np.ndarray, patched: bool = False) -> Entry:
    law = Stored(values)
    chosen = Patched(law, [(((0, 1),), Constant(0.0))]) if patched else law
    return Entry(name, "parameter", values.shape, "float32", "other", repr(law), chosen, "computed")


def sample(factor: float = 1.0) -> Plan:
    rng = np.random.default_rng(0)
    big = (rng.normal(size=(60, 30)) * factor).astype(np.float32)
    doubles = rng.normal(size=(40, 30))
    entries = [entry("big", big), entry("again", big), entry("doubles", doubles, patched=True)]
    return Plan((*entries, entry("small", np.arange(4, dtype=np.float32))), 3, "mine@1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    sample().save(tmp_path / "plan.json")
    return tmp_path / "plan.json"


def beside(file: Path) -> Path:
    (found,) = file.parent.glob("plan.json.*.safetensors")
    return found


def test_large_numbers_lie_beside_the_plan_and_come_back_bit_for_bit(file: Path) -> None:
    assert load_plan(file) == sample()
    record = json.loads(file.read_text())
    assert record["values"]["file"] == beside(file).name
    assert record["values"]["sha256"].startswith(beside(file).name.split(".")[2])
    assert file.stat().st_size < 4096
    assert 60 * 30 * 4 + 40 * 30 * 8 < beside(file).stat().st_size < 60 * 30 * 4 + 40 * 30 * 8 + 2000  # each once


def test_a_plan_of_small_numbers_is_one_file(tmp_path: Path) -> None:
    Plan((entry("small", np.zeros(4, np.float32)),), 0, "mine@1").save(tmp_path / "plan.json")
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_saving_again_leaves_one_file_beside(file: Path) -> None:
    old = beside(file)
    sample(2.0).save(file)
    assert beside(file) != old
    assert load_plan(file) == sample(2.0)
    other = file.with_name("plan.json.notes.safetensors")
    other.write_text("mine")
    sample().save(file)
    assert other.exists()


def test_what_can_be_wrong_with_it(file: Path) -> None:
    place, content = beside(file), beside(file).read_bytes()
    for damaged in (content[:-1], content[:100], b"", content[:-1] + bytes([content[-1] ^ 1])):
        place.write_bytes(damaged)
        with pytest.raises(PlanFileError, match=r"safetensors' does not have the sha256"):
            load_plan(file)
    place.unlink()
    with pytest.raises(PlanFileError, match=r"No such file.*copy it along with the plan"):
        load_plan(file)


def test_a_record_without_its_folder(file: Path) -> None:
    record = json.loads(file.read_text())
    with pytest.raises(PlanFileError, match="load it with load_plan"):
        plan_from_record(record)
    assert plan_from_record(record, file.parent) == sample()
    assert plan_from_record(plan_to_record(sample())) == sample()


@pytest.mark.parametrize("values", [3, {"file": "x"}, {"file": "../x", "sha256": "0"}, {"file": 3, "sha256": "0"}])
def test_values_that_name_no_file_beside(values: object, file: Path) -> None:
    record = json.loads(file.read_text()) | {"values": values}
    with pytest.raises(PlanFileError, match="must name a file beside the plan"):
        plan_from_record(record, file.parent)


def test_numbers_that_the_file_lacks(file: Path, tmp_path: Path) -> None:
    record = json.loads(file.read_text())
    record["entries"][0]["law"]["sha256"] = "0" * 64
    with pytest.raises(PlanFileError, match="lacks the stored numbers"):
        plan_from_record(record, file.parent)


def test_a_plan_that_cannot_be_written_leaves_nothing_behind(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}

    def fail(*_: object) -> None:
        raise OutputError("full")

    monkeypatch.setattr("wellbegun.plans.file.write_text_atomically", fail)
    with pytest.raises(OutputError):
        sample(2.0).save(file)
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before
    assert load_plan(file) == sample()


def test_the_hash_covers_the_numbers() -> None:
    assert sample().hash != sample(2.0).hash
