"""Repeated layers as one row."""

import pytest

from wellbegun.laws import Constant, MeanCompensation, Normal
from wellbegun.plans import Entry, Plan, plan_text
from wellbegun.plans.groups import group_entries, join_names_of, shown_groups


def entry(name: str, **more: object) -> Entry:
    given = {"kind": "parameter", "shape": (4, 6), "dtype": "float32", "role": "linear weight", "reason": "a reason"}
    return Entry(**({"name": name, "initializer": "", "law": Normal(0.5)} | given | more))


def labels(*entries: Entry) -> list[str]:
    return [group.label for group in group_entries(entries)]


def test_eighty_layers_are_one_row() -> None:
    entries = [entry(f"model.layers.{i}.{part}") for i in range(80) for part in ("up.weight", "down.weight")]
    made = Plan((entry("embed"), *entries, entry("head")), 0, "auto@0")
    assert labels(*made) == ["embed", "model.layers.{0..79}.up.weight", "model.layers.{0..79}.down.weight", "head"]
    assert "162 tensors in 3 rows" in plan_text(made)
    assert "model.layers.{0..79}.{up,down}.weight" in plan_text(made)


def test_siblings_are_one_row_where_all_else_is_equal() -> None:
    names = ("l.0.q", "l.0.q_bias", "l.1.q", "l.0.k", "l.1.k", "l.0.v")
    shown = [group.label for group in shown_groups(entry(name) for name in names)]
    assert shown == ["l.{0,1}.{q,k}", "l.0.{q_bias,v}"]
    others = [entry("a.q"), entry("a.k", reason="another"), entry("a.v", ties=("b.v",)), entry("a." + 40 * "w")]
    assert len(shown_groups(others)) == 4


def test_two_numbers_make_a_grid() -> None:
    entries = [entry(f"l.{i}.experts.{j}.w") for i in range(3) for j in range(8)]
    assert labels(*entries) == ["l.{0..2}.experts.{0..7}.w"]
    assert labels(*entries[:-1]) == ["l.{0,1}.experts.{0..7}.w", "l.2.experts.{0..6}.w"]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([3], "w.3"),
        ([0, 1], "w.{0,1}"),
        ([0, 1, 2], "w.{0..2}"),
        ([0, 2, 4, 6], "w.{0,2..6}"),
        ([0, 2, 4], "w.{0,2,4}"),
        ([0, 1, 2, 5, 7, 8, 9], "w.{0..2,5,7..9}"),
    ],
)
def test_numbers_in_few_characters(numbers: list[int], text: str) -> None:
    assert join_names_of([f"w.{i}" for i in numbers]) == text


@pytest.mark.parametrize(
    "change",
    [
        {"law": Normal(0.25)},
        {"shape": (4, 7)},
        {"role": "bias"},
        {"reason": "another"},
        {"dtype": "bfloat16"},
        {"stream": "old"},
        {"ties": ("x.1",)},
        {"zero_row": 1},
        {"before": 2.0},
        {"kind": "buffer"},
    ],
)
def test_what_differs_stands_apart(change: dict[str, object]) -> None:
    assert labels(entry("w.0"), entry("w.1", **change)) == ["w.0", "w.1"]


def test_laws_that_name_a_neighbour_and_ties_and_old_names() -> None:
    biases = [entry(f"l.{i}.b", shape=(4,), law=MeanCompensation(f"l.{i}.w", 0.5)) for i in range(3)]
    assert labels(*biases) == ["l.{0..2}.b"]
    tied = [entry(f"a.{i}.w", ties=(f"b.{i}.w",), stream=f"old.{i}.w") for i in range(3)]
    (group,) = group_entries(tied)
    assert group.ties == ("b.{0..2}.w",)


def test_names_that_look_like_numbers_or_places() -> None:
    assert labels(entry("w.01"), entry("w.1"), entry("w.{}"), entry("²")) == ["w.01", "w.1", "w.{}", "²"]
    assert labels(entry("0"), entry("1", law=Constant(0.0))) == ["0", "1"]


@pytest.mark.parametrize("width", [60, 100, 129, 130, 200])
def test_no_line_is_wider_than_the_terminal_and_every_reason_is_there(width: int) -> None:
    made = Plan(tuple(entry(f"some.long.path.{i}.to.weight", reason="because it is so") for i in range(4)), 0, "auto@0")
    text = plan_text(made, width)
    assert max(map(len, text.splitlines())) <= width
    for part in ("some.long.path.{0..3}.to.weight", "4×6", "normal", "0.5", "because it is so"):
        assert part in text
