"""Plans as values: look-up, hash, differences, explanations."""

from dataclasses import replace

import pytest

from wellbegun.errors import ArgumentError
from wellbegun.laws import Constant, Fans, Keep, Normal
from wellbegun.plans import Entry, Plan


def entry(name: str = "h.0.weight", **more: object) -> Entry:
    given = {"kind": "parameter", "shape": (4, 6), "dtype": "float32", "role": "linear weight", "reason": "a reason"}
    return Entry(**({"name": name, "initializer": "Normal(std=0.5)", "law": Normal(0.5)} | given | more))


def plan(*entries: Entry, seed: int = 7) -> Plan:
    return Plan(
        entries or (entry(), entry("h.0.bias", law=Constant(0.0), shape=(4,), ties=("t.bias",))), seed, "auto@0"
    )


def test_look_up_by_any_name() -> None:
    made = plan()
    assert made["t.bias"] is made["h.0.bias"]
    assert "t.bias" in made
    assert "x" not in made
    assert 3 not in made
    assert len(made) == 2
    assert [found.name for found in made] == ["h.0.weight", "h.0.bias"]


def test_an_unknown_name_offers_the_closest() -> None:
    with pytest.raises(KeyError, match=r"h\.0\.wieght.*did you mean 'h\.0\.weight'"):
        plan()["h.0.wieght"]
    with pytest.raises(KeyError, match="no entry"):
        plan().explain("zzz")


@pytest.mark.parametrize(
    "change",
    [{"name": "x"}, {"shape": (6, 4)}, {"law": Normal(0.25)}, {"stream": "x"}, {"ties": ("x",)}, {"zero_row": 1}],
)
def test_the_hash_covers_what_decides_the_numbers(change: dict[str, object]) -> None:
    assert plan(replace(entry(), **change)).hash != plan(entry()).hash


@pytest.mark.parametrize(
    "change",
    [{"reason": "x"}, {"dtype": "bfloat16"}, {"source": "x"}, {"before": 2.0}, {"fans": Fans(1, 2)}, {"role": "x"}],
)
def test_the_hash_does_not_cover_words_or_storage(change: dict[str, object]) -> None:
    assert plan(replace(entry(), **change)).hash == plan(entry()).hash
    assert plan().with_seed(8).hash == plan().hash


def test_the_hash_covers_recipe_and_sampler() -> None:
    assert len({plan().hash, replace(plan(), recipe="he@0").hash, replace(plan(), sampler=2).hash}) == 3


def test_differences() -> None:
    first = plan(entry("a"), entry("b"), entry("c", reason="x"))
    second = plan(entry("b", law=Normal(0.25)), entry("c", reason="y"), entry("d"), seed=9)
    assert first.diff(second) == [
        "- a: only in the first plan",
        "+ d: only in the second plan",
        "~ b: Normal(std=0.5) [4, 6] -> Normal(std=0.25) [4, 6]",
    ]
    assert first.diff(first.with_seed(3)) == []


def test_every_difference_shows() -> None:
    for change in ({"stream": "x"}, {"ties": ("x",)}, {"zero_row": 1}):
        (line,) = plan(entry()).diff(plan(replace(entry(), **change)))
        assert line.startswith("~ h.0.weight")


def test_explanations() -> None:
    made = plan(
        entry(fans=Fans(6, 4), before=0.5, after=1.0, source="He (2015)", ties=("tied",), stream="old", zero_row=1)
    )
    text = made.explain("tied")
    for part in (
        "h.0.weight",
        "4×6",
        "linear weight",
        "Normal(std=0.5)",
        "a reason",
        "He (2015)",
        "fan_in 6",
        "fan_out 4",
        "0.5 before",
        "tied",
        "seed 7, 'old'",
        "row 1",
    ):
        assert part in text
    plain = plan(entry(shape=(), law=Keep())).explain("h.0.weight")
    assert "scalar" in plain
    assert "fans" not in plain


def test_the_table_names_everything() -> None:
    text = str(plan())
    for part in ("auto@0", "2 tensors, 28 numbers", "seed 7", "h.0.weight", "= t.bias", "a reason"):
        assert part in text


def test_one_tensor_twice() -> None:
    with pytest.raises(ArgumentError, match="twice here: a"):
        plan(entry("a"), entry("b", ties=("a",)))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "7", None, True])
def test_bad_seeds(seed: object) -> None:
    with pytest.raises(ArgumentError):
        plan(seed=seed)


def test_sizes_and_deviations() -> None:
    assert entry().size == 24
    assert entry(shape=()).size == 1
    assert entry().std == 0.5
    assert entry(law=Keep()).std != entry(law=Keep()).std
    assert entry().stream == "h.0.weight"
