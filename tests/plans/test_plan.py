"""Plans as values: look-up, hash, differences, explanations."""

import io
import time
from dataclasses import replace
from xml.etree import ElementTree

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
    for part in ("auto@0", "2 tensors in 2 rows, 28 numbers", "seed 7", "h.0.weight", "= t.bias", "a reason"):
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


def test_ten_thousand_entries_take_a_moment() -> None:
    entries = tuple(entry(f"layers.{i}.weight") for i in range(10_000))
    start = time.perf_counter()
    made = plan(*entries)
    assert all(made[found.name] is found for found in entries)
    assert "layers.{0..9999}.weight" in str(made)
    assert time.perf_counter() - start < 5  # linear work: 0.2 s here; the square of it would be minutes


def test_parameter_groups() -> None:
    made = plan(
        entry("table", role="embedding weight", shape=(9, 4)),
        entry("w"),
        entry("b", role="bias", shape=(4,)),
        entry("rows", role="bias", shape=(2, 4)),
        entry("n", role="normalisation scale", shape=(4,)),
        entry("seen", kind="buffer", shape=()),
    )
    assert made.param_groups(1e-3, weight_decay=0.1) == [
        {"names": ["table", "w"], "lr": 1e-3, "weight_decay": 0.1},
        {"names": ["b", "rows", "n"], "lr": 1e-3, "weight_decay": 0.0},
    ]
    assert plan(entry("w")).param_groups(0.1) == [{"names": ["w"], "lr": 0.1, "weight_decay": 0.0}]
    for bad in ({"lr": -1}, {"lr": "x"}, {"lr": 1, "weight_decay": float("nan")}):
        with pytest.raises(ArgumentError):
            made.param_groups(**bad)


def test_parameter_groups_of_a_model_are_what_an_optimizer_takes() -> None:
    import torch

    import wellbegun as wb

    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3))
    made = wb.initialize(model, seed=0)
    optimizer = torch.optim.AdamW(made.param_groups(0.1, weight_decay=0.5, model=model))
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 3]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]
    with pytest.raises(ArgumentError, match=r"no parameter '0\.weight'"):
        made.param_groups(0.1, model=torch.nn.Linear(2, 2))


def test_a_notebook_shows_one_element_that_needs_nothing_else() -> None:
    made = plan(entry(reason="<b>a & b</b>", source='"quoted"'), entry("h.0.bias", ties=("t.bias",)))
    html = made._repr_html_()
    parsed = ElementTree.fromstring(html.replace("<br>", "<br/>"))
    assert parsed.tag == "div"
    assert "<script" not in html
    assert "http" not in html
    assert "<b>a & b</b>" in "".join(parsed.itertext())
    assert len(parsed.findall(".//tbody/tr")) == 2


def test_rich_prints_a_plan() -> None:
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    console.print(plan())
    assert console.export_text().startswith("plan by auto@0")
