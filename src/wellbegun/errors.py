"""Every error that wellbegun raises on purpose.

WellbegunError
├── ArgumentError (also ValueError)   a bad argument: what was given, what is allowed, what to do
│   └── UnknownNameError              no method, task or activation of that name; the closest ones are offered
├── MissingExtraError (also ImportError)   an optional library is not installed; says which extra brings it
├── TheoryError                       the mathematics has no answer for the request
│   └── NoCriticalPointError          no (stable) critical point exists for this activation
├── TraceError                        the model's forward pass could not be traced
├── PlanError                         a plan could not be made
│   ├── UnplannedError                a parameter or buffer that no rule accounts for
│   ├── UnusedRuleError               a user rule that matches nothing
│   └── ShadowedRuleError             a user rule that later rules override for everything it matches
├── PlanFileError                     a saved plan that cannot be read
├── ApplyError                        a plan that does not fit the model it is applied to
├── CalibrationError                  a layer that no factor brings to its target: dead, or not finite
├── DataError                         a data set that is not there, cannot be fetched, or is not what it should be
└── OutputError                       a result that cannot be written where it was asked for

UnmetMultiplierWarning (a UserWarning)   a plan is written whose multipliers the model's forward pass does not have
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WellbegunError(Exception):
    """Root of all errors that wellbegun raises on purpose."""


class ArgumentError(WellbegunError, ValueError):
    """A bad argument: the message says what was given, what is allowed and what to do."""


class UnknownNameError(ArgumentError):
    """No method, task or activation has the name that was given."""

    def __init__(
        self, kind: str, given: str, known: Iterable[str], aliases: Iterable[str] = (), list_with: str = ""
    ) -> None:
        names = sorted(known)
        self.kind, self.given = kind, given
        self.closest = closest_names(given, [*names, *aliases])
        offer = f"did you mean {join_names(self.closest)}?" if self.closest else ""
        listing = ", ".join(names) if len(names) <= 40 else ""
        text = f"no {kind} is called {given!r}" + (f"; {offer}" if offer else "")
        if listing:
            text += f" Known: {listing}" if offer else f"; known: {listing}"
        elif list_with:
            text += f" All of them: {list_with}" if offer else f"; all of them: {list_with}"
        super().__init__(text)


class MissingExtraError(WellbegunError, ImportError):
    """An optional library is not installed."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        self.library, self.extra = library, extra
        super().__init__(f"{purpose} needs {library}, which is not installed; run: pip install 'wellbegun[{extra}]'")


class TheoryError(WellbegunError):
    """The mathematics has no answer for what was asked."""


class NoCriticalPointError(TheoryError):
    """No critical point, or no stable one, exists for this activation."""


class TraceError(WellbegunError):
    """The model's forward pass could not be traced."""


class PlanError(WellbegunError):
    """A plan could not be made."""


class UnplannedError(PlanError):
    """A parameter or buffer that nothing accounts for."""


class UnusedRuleError(PlanError):
    """A user rule that matches nothing."""


class ShadowedRuleError(PlanError):
    """A user rule whose every match is taken over by later rules."""


class PlanFileError(WellbegunError):
    """A saved plan that cannot be read."""


class ApplyError(WellbegunError):
    """A plan that does not fit the model it is applied to."""


class CalibrationError(WellbegunError):
    """A layer that no factor brings to its target; the message names it and the cause."""


class DataError(WellbegunError):
    """A data set that is not there, cannot be fetched, or is not what it should be; the message says what to run."""


class OutputError(WellbegunError):
    """A result that cannot be written where it was asked for."""


def closest_names(given: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the known names that look most like the one given, best first."""
    candidates = sorted(known)
    lowered = {name.lower(): name for name in candidates}
    starts = [name for name in candidates if given and name.lower().startswith(given.lower())]
    near = [lowered[hit] for hit in difflib.get_close_matches(given.lower(), lowered, n=most, cutoff=0.5)]
    return list(dict.fromkeys(near + starts))[:most]


def join_names(names: Iterable[str]) -> str:
    """Join names as a person would say them: 'a', 'b' or 'c'."""
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]


class UnmetMultiplierWarning(UserWarning):
    """A plan wants numbers in the forward pass that the model did not have when the plan was made."""
