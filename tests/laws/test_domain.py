"""The networks that a card names, in terms that a graph can be compared with."""

from __future__ import annotations

import pytest

from wellbegun.errors import UnknownNameError
from wellbegun.laws import OWN_START, TRAITS, Domain
from wellbegun.tuning.cards import all_cards


def test_all_terms_must_be_met_and_one_alternative_of_each() -> None:
    domain = Domain.read("plain, rectifier or odd, not convolutions")
    assert domain.terms == (("plain",), ("rectifier", "odd"), ("not convolutions",))
    assert domain.unmet({"plain", "odd"}) == ()
    assert domain.unmet({"odd", "convolutions"}) == ("plain", "not convolutions")
    assert domain.unmet({"plain"}) == ("rectifier or odd",)
    assert domain.met({"plain", "odd", "deep"}) == ("plain", "odd")
    assert not domain.is_usual


def test_any_and_every_trait_have_no_terms() -> None:
    assert Domain.read("any") == Domain()
    assert Domain.read("every trait") == Domain(reads_all=True)
    assert Domain.read("any; usual") == Domain(is_usual=True)
    assert Domain.read("not deep; usual") == Domain((("not deep",),), is_usual=True)


def test_a_term_that_is_no_trait_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"no trait of a network is called 'plane'; did you mean 'plain'"):
        Domain.read("deep, plane")


def test_the_domains_of_all_cards_can_be_read_and_name_every_trait() -> None:
    domains = {card.name: Domain.read(card.domain) for card in all_cards() if card.domain}
    named = {part.removeprefix("not ") for domain in domains.values() for term in domain.terms for part in term}
    assert named | {"recurrent"} == set(TRAITS)  # it says why a network is not plain, and which layers it has
    assert named >= OWN_START
    assert [name for name, domain in domains.items() if domain.reads_all] == ["auto"]
    assert {name for name, domain in domains.items() if domain.is_usual} == {"torch", "normal", "xavier", "he"}


def test_single_values_are_not_advised() -> None:
    assert [card.name for card in all_cards() if card.domain and card.need == "single values and parts"] == []
