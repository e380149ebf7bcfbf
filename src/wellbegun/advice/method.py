"""One method as advice sees it: its card, the recipe that makes it, and how well its domain fits the network."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from wellbegun.advice.attempt import Attempt
from wellbegun.advice.subject import Subject
from wellbegun.errors import WellbegunError
from wellbegun.laws import OWN_START, Card, Domain
from wellbegun.plans import Plan
from wellbegun.recipes.cards import named_recipes
from wellbegun.tuning.cards import TUNINGS


@dataclass(frozen=True)
class Tried:
    """A method that was planned and judged for one network.

    Attributes:
        card: of the method.
        domain: that of the card.
        place: in the catalogue.
        attempt: how it starts the network.
        code: the Python call.
        also: further methods that put the same numbers there.
        data: whether it needs real inputs.
    """

    card: Card
    domain: Domain
    place: int
    attempt: Attempt
    code: str
    also: tuple[str, ...] = ()
    data: bool = False

    def rank(self, traits: Collection[str]) -> tuple[float, ...]:
        """Return what methods are ordered by, the best first.

        What was found in its start comes first: kinds of errors, kinds of warnings, the grade of the isometry score.
        Of equally healthy starts, one that such networks were published with goes before one that reads the whole
        network, and that before one whose domain names fewer of its traits; methods whose domain does not hold the
        network come last. Numbers that the forward pass lacks, and the order of the catalogue, decide the rest.
        """
        met = self.domain.met(traits)
        tier = 0 if OWN_START & set(met) else 1 if self.domain.reads_all else 3 if self.domain.unmet(traits) else 2
        return (*self.attempt.health, tier, -len(met), len(self.attempt.plan.unmet) > 0, self.place)


@dataclass(frozen=True)
class Refused:
    """A method that does not plan the network, with its own reason."""

    card: Card
    recipe: str
    reason: str


def try_all(
    subject: Subject, traits: Collection[str], on_method: Callable[[str], None]
) -> tuple[list[Tried], list[Refused]]:
    """Plan and judge every method whose domain holds the network, and those that people use everywhere.

    Of a method with several sets of arguments the best one stays; methods whose plans hold the same numbers are one.

    Args:
        subject: the model.
        traits: that are to be said of it.
        on_method: told each recipe before it is tried.
    """
    tried: dict[object, Tried] = {}
    refused: list[Refused] = []
    for place, named in enumerate(named_recipes()):
        domain = Domain.read(named.card.domain)
        if domain.unmet(traits) and not domain.is_usual:
            continue
        found = []
        for recipe in named.recipes:
            on_method(recipe)
            try:
                plan = subject.plan(recipe)
                known = next((one for one in tried.values() if one.attempt.weights == _weights(plan, recipe)), None)
                attempt = subject.judged(plan, recipe) if known is None else replace(known.attempt, recipe=recipe)
            except WellbegunError as error:
                refused.append(Refused(named.card, recipe, _in_short(error)))
                continue
            code = f'plan(model, batch, seed={subject.seed}, recipe="{recipe}")'
            found.append(Tried(named.card, domain, place, attempt, code))
        if found:
            best = min(found, key=lambda one: one.rank(traits))
            same = tried.get(best.attempt.weights)
            tried[best.attempt.weights] = best if same is None else _together(same, best, traits)
    return [*tried.values(), *_tuned(subject, traits, list(tried.values()))], refused


def _in_short(error: WellbegunError) -> str:
    """The first line of an error, and of a list its first item too."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def _weights(plan: Plan, recipe: str) -> tuple[object, ...]:
    return Attempt(plan, recipe, (), None, 0.0, 0.0, "", predicted=False).weights


def _together(first: Tried, second: Tried, traits: Collection[str]) -> Tried:
    """Two names of one start: the one that goes before stands for both."""
    best, other = sorted((first, second), key=lambda one: one.rank(traits))
    return replace(best, also=(*best.also, other.card.name, *other.also))


def _tuned(subject: Subject, traits: Collection[str], tried: list[Tried]) -> list[Tried]:
    """What one pass over the user's data makes of the best start."""
    if not (subject.has_data and subject.is_measured and tried):
        return []
    base = min(tried, key=lambda one: one.rank(traits))
    found = []
    for place, tuning in enumerate(TUNINGS, start=1000):
        card = tuning.card()
        if not card.domain or Domain.read(card.domain).unmet(traits):
            continue
        try:
            plan = tuning.function(base.attempt.plan, subject.model, subject.inputs)
        except WellbegunError:
            continue  # the batch shows nothing that it could work with
        attempt = subject.judged(plan, base.attempt.recipe)
        code = f"{tuning.name}(wb.{base.code}, model, batch)"
        found.append(Tried(card, Domain.read(card.domain), place, attempt, code, data=True))
    return found
