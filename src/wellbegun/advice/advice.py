"""What is to be said to the user: the best choices, why, and which usual ones are wrong here."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis import plain
from wellbegun.plans import Plan

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "wellbegun.advice/1"


@dataclass(frozen=True)
class Choice:
    """One method that suits the model.

    Attributes:
        name: of the method, as `wellbegun explain` takes it.
        recipe: what `wb.plan` takes.
        code: the Python call, without "wb.".
        reasons: why, each a sentence.
        against: what speaks against it, each a sentence.
        needs: what it wants besides weights: data, learning rates, multipliers, arguments of yours.
        errors, warnings: kinds of findings at step 0.
        signal: second moment of the last layer's result.
        gradient: second moment of the gradient behind the first layer, over that behind the last.
        score: of a plain chain, at most 0, see docs/advise.md; None for other networks.
        also: other methods that start the model with the same numbers.
        plan: it, ready for `wb.apply`.
    """

    name: str
    recipe: str
    code: str
    reasons: tuple[str, ...]
    against: tuple[str, ...]
    needs: tuple[str, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    signal: float
    gradient: float
    score: float | None
    also: tuple[str, ...] = ()
    plan: Plan = field(repr=False, compare=False, kw_only=True)

    def to_record(self) -> dict[str, Any]:
        """Return it as plain data, with the plan's hash in place of the plan."""
        record = {name: value for name, value in self.__dict__.items() if name != "plan"}
        made: dict[str, Any] = plain(record | {"plan_hash": self.plan.hash})
        return made


@dataclass(frozen=True)
class Refusal:
    """A method that is not for the model.

    Attributes:
        name: of the method.
        reason: why not, in a sentence.
        refused: whether its recipe refuses the model; else it was tried and ranks below.
    """

    name: str
    reason: str
    refused: bool = False


@dataclass(frozen=True)
class Advice:
    """The best choices for one model.

    Attributes:
        traits: what its graph shows, each trait with the evidence.
        choices: the best ones, best first; only sound ones, if there is any.
        wrong: usual choices that are wrong here, and recipes that refuse the model, with the reason.
        others: further methods that suit it, best first; "keras = xavier" where two start it with the same numbers.
        source: what the judgement rests on, in words.
        model_name: class of the model.
    """

    traits: Mapping[str, str]
    choices: tuple[Choice, ...]
    wrong: tuple[Refusal, ...]
    others: tuple[str, ...]
    source: str
    model_name: str = ""

    @property
    def best(self) -> Choice:
        """The first choice."""
        return self.choices[0]

    @property
    def healthy(self) -> bool:
        """Whether the best choice has no finding of level "error"."""
        return bool(self.choices) and not self.best.errors

    def to_record(self) -> dict[str, Any]:
        """Return everything as plain data; numbers that JSON does not know are null."""
        return {
            "schema": SCHEMA,
            "model": self.model_name,
            "healthy": self.healthy,
            "source": self.source,
            "traits": dict(self.traits),
            "choices": [choice.to_record() for choice in self.choices],
            "others": list(self.others),
            "wrong": [asdict(refusal) for refusal in self.wrong],
        }

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(self.to_record(), indent=1, ensure_ascii=False)

    def __str__(self) -> str:
        from rich.console import Console

        buffer = io.StringIO()
        Console(file=buffer, width=120, color_system=None, force_terminal=False).print(*self.renderables(), sep="\n")
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def renderables(self) -> list[RenderableType]:
        """What rich prints of it."""
        from wellbegun.advice.table import advice_parts

        return advice_parts(self)
