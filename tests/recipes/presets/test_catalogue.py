"""Presets by name, version and arguments."""

import pytest
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.recipes.presets import PRESETS
from wellbegun.tuning.cards import all_cards, find_card


def plan(recipe: str) -> wb.Plan:
    return wb.plan(nn.Linear(4, 4), seed=0, recipe=recipe)


def test_a_name_without_a_version_is_the_newest() -> None:
    assert plan("torch").hash == plan("torch@1").hash == plan(" Torch@1 ").hash
    assert plan("gpt2").recipe == plan("GPT2(std=0.02)").recipe == "gpt2@1"
    assert plan("gpt2(std=0.01)").recipe == "gpt2@1(std=0.01)"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("gpt3", "no recipe is called 'gpt3'; did you mean 'gpt2'"),
        ("kears", "did you mean 'keras'"),
        ("gpt2@9", "no recipe is called 'gpt2@9'.*gpt2@1"),
        ("gpt2@", "no recipe is called 'gpt2@'"),
    ],
)
def test_unknown_names_and_versions(recipe: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        plan(recipe)


@pytest.mark.parametrize("recipe", ["gpt2(0.02)", "gpt2(std=", "gpt2(sdt=0.02)", "torch(std=1)", "gpt2(std=x)"])
def test_arguments_that_cannot_be_read(recipe: str) -> None:
    with pytest.raises(ArgumentError, match=r"cannot read|its arguments"):
        plan(recipe)


def test_every_preset_has_a_card_with_its_version() -> None:
    names = [card.name for card in all_cards()]
    for preset in PRESETS:
        assert preset.name_only in names
        card = find_card(f"{preset.name_only}@{preset.version}")
        assert card == find_card(preset.name_only)
        assert f"{preset.name_only}@{preset.version}" in card.code
