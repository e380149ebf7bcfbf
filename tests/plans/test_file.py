"""Plans as files: round trips, damage, and folders that cannot be written."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from wellbegun.errors import OutputError, PlanFileError
from wellbegun.laws import (
    Constant,
    Fans,
    Keep,
    Law,
    MirroredOrthogonal,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
)
from wellbegun.plans import Entry, Plan, load_plan, plan_from_record, plan_to_record

LAWS: tuple[Law, ...] = (
    Constant(0.1),
    Normal(std=0.02, mean=-1.5),
    Uniform(-0.1, 0.3),
    TruncatedNormal(std=0.02),
    TruncatedNormal(std=0.02).law(),
    TruncatedNormal(std=1.0, low=-math.inf, high=1.0),
    TruncatedNormal(std=1.0, low=0.5, high=math.inf, mean=3.0, match_std=False),
    Orthogonal(gain=math.sqrt(2)),
    MirroredOrthogonal(gain=0.5, rows=False),
    Keep(),
)


def entry(name: str, law: Law, **more: Any) -> Entry:
    given = {"kind": "parameter", "shape": (4, 6), "dtype": "float32", "role": "linear weight", "reason": "why"}
    return Entry(name=name, initializer=repr(law), law=law, **(given | more))


def sample() -> Plan:
    entries = [entry(f"layer.{i}", law) for i, law in enumerate(LAWS)]
    more = {"fans": Fans(2.25, 4), "before": 0.5, "after": 1.0, "stream": "old", "ties": ("a", "b"), "zero_row": 2}
    entries.append(entry("full", Normal(std=0.3), source="Ω (2015)", **more))
    entries.append(entry("scalar", Constant(1.0), shape=(), kind="buffer", dtype="int64"))
    return Plan(tuple(entries), 2**64 - 1, "auto@0")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    sample().save(path)
    return path


def test_round_trip_of_every_law_with_infinite_bounds(file: Path) -> None:
    loaded = load_plan(str(file))
    assert loaded == sample()
    assert loaded.hash == sample().hash
    assert str(loaded) == str(sample())
    file.with_suffix(".again").write_text("old")
    loaded.save(file.with_suffix(".again"))
    assert file.with_suffix(".again").read_bytes() == file.read_bytes()


def test_the_file_is_strict_json_with_the_usual_permissions(file: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(file.read_text("utf-8"), parse_constant=refuse)
    mask = os.umask(0)
    os.umask(mask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~mask


def remove(key: str) -> Any:
    return lambda record: record.pop(key)


def set_head(key: str, value: Any) -> Any:
    return lambda record: record.update({key: value})


def set_entry(key: str, value: Any) -> Any:
    return lambda record: record["entries"][-2].update({key: value})


def set_law(key: str, value: Any) -> Any:
    return lambda record: record["entries"][1]["law"].update({key: value})


HEAD = ["schema", "sampler", "recipe", "seed", "hash", "entries"]
FIELDS = [
    "name",
    "kind",
    "shape",
    "dtype",
    "role",
    "initializer",
    "law",
    "reason",
    "source",
    "fans",
    "before",
    "after",
    "stream",
    "ties",
    "zero_row",
]
DAMAGE = {
    **{f"no {key}": remove(key) for key in HEAD},
    **{f"entry without {key}": (lambda record, key=key: record["entries"][-2].pop(key)) for key in FIELDS},
    **{f"entry with {key} of a wrong type": set_entry(key, {"x": [1]}) for key in FIELDS},
    **{
        f"entry with {key} true": set_entry(key, True) for key in ("name", "shape", "law", "fans", "zero_row", "stream")
    },
    "unknown version": set_head("schema", "wellbegun.plan/3"),
    "unknown sampler": set_head("sampler", 99),
    "seed as text": set_head("seed", "7"),
    "seed negative": set_head("seed", -1),
    "seed too large": set_head("seed", 2**64),
    "recipe of another name": set_head("recipe", "he@0"),
    "entries as text": set_head("entries", "abc"),
    "entries as a number": set_head("entries", 3),
    "entry as text": set_head("entries", ["abc"]),
    "entry as null": set_head("entries", [None]),
    "an entry twice": lambda record: record["entries"].append(record["entries"][0]),
    "an entry missing": lambda record: record["entries"].pop(),
    "unknown field": set_entry("colour", "red"),
    "negative size": set_entry("shape", [4, -6]),
    "other shape": set_entry("shape", [4, 7]),
    "shape as text": set_entry("shape", "46"),
    "ties as text": set_entry("ties", "ab"),
    "other kind": set_entry("kind", "constant"),
    "fans of zero": set_entry("fans", {"fan_in": 0, "fan_out": 1}),
    "other stream": set_entry("stream", "new"),
    "other padding row": set_entry("zero_row", 1),
    "padding row outside": set_entry("zero_row", 4),
    "changed std": set_law("std", 0.03),
    "std as text": set_law("std", "0.02"),
    "std missing": lambda record: record["entries"][1]["law"].pop("std"),
    "std negative": set_law("std", -1),
    "std infinite": set_law("std", math.inf),
    "std null": set_law("std", None),
    "std true": set_law("std", True),
    "unknown law": set_law("kind", "Cauchy"),
    "law that is no law": set_law("kind", "VarianceScaling"),
    "law that would run": set_law("kind", "__import__('os').system('true')"),
    "extra number": set_law("scale", 1),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed(damage: str, file: Path) -> None:
    record = json.loads(file.read_text("utf-8"))
    DAMAGE[damage](record)
    file.write_text(json.dumps(record), "utf-8")
    with pytest.raises(PlanFileError):
        load_plan(file)


@pytest.mark.parametrize("text", ["", "{", "plan", "[]", "null", "3", '{"a": 1}', '"text"', "\x00"])
def test_what_is_no_plan(text: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(PlanFileError):
        load_plan(path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanFileError, match="is not JSON"):
        load_plan(tmp_path / "plan.json")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(PlanFileError, match="cannot read the plan"):
            load_plan(path)


def test_seed_and_reasons_may_be_edited(file: Path) -> None:
    record = json.loads(file.read_text("utf-8"))
    record["seed"], record["entries"][0]["reason"] = 5, "another"
    assert plan_from_record(record).hash == sample().hash


def test_a_record_is_plain_data() -> None:
    assert json.loads(json.dumps(plan_to_record(sample()))) == json.loads(json.dumps(plan_to_record(sample())))


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "plan.json", tmp_path / "file" / "plan.json", tmp_path / "folder"):
        with pytest.raises(OutputError):
            sample().save(path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_versions_are_told_apart(file: Path) -> None:
    record = json.loads(file.read_text("utf-8"))
    with pytest.raises(
        PlanFileError, match=r"format is 'wellbegun\.plan/9'; this release reads .*newer wellbegun: upd"
    ):
        plan_from_record(record | {"schema": "wellbegun.plan/9"})
    with pytest.raises(PlanFileError, match=r"sampler is 2; this release reads 1; .*newer"):
        plan_from_record(record | {"sampler": 2})
    with pytest.raises(PlanFileError, match=r"format is 'wellbegun\.plan/1'.*make the plan again"):
        plan_from_record({"wellbegun_plan": 1, "sampler": 1})


def test_a_file_that_was_cut_off_says_so(file: Path) -> None:
    text = file.read_text("utf-8")
    for length in (len(text) - 3, len(text) // 2, 10):
        file.write_text(text[:length], "utf-8")
        with pytest.raises(PlanFileError, match=r"plan\.json' is not JSON"):
            load_plan(file)
    file.write_text(text[:-3], "utf-8")
    with pytest.raises(PlanFileError, match="ends too early"):
        load_plan(file)


def test_each_entry_has_a_line(file: Path) -> None:
    lines = file.read_text("utf-8").splitlines()
    assert sum('"name":' in line for line in lines) == len(sample())


def test_a_failure_half_way_keeps_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        sample().with_seed(1).save(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]
