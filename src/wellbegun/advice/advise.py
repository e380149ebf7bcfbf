"""wb.advise: plan a model by every method that suits it, look at each start, and say which are the best."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wellbegun.advice.advice import Advice
from wellbegun.advice.method import Tried, try_all
from wellbegun.advice.subject import Subject
from wellbegun.advice.words import choice_of, refusal, wrong
from wellbegun.errors import ArgumentError, PlanError
from wellbegun.graph.framework import require_torch
from wellbegun.sampler import check_seed

if TYPE_CHECKING:
    import torch

_WISH = "shared rates"


def advise(
    model: torch.nn.Module | Callable[[], torch.nn.Module],
    batch: Any = None,
    *,
    most: int = 3,
    shared_rates: bool = False,
    seed: int = 0,
    on_method: Callable[[str], None] = lambda _: None,
) -> Advice:
    """Say which methods suit a model best, why, and which usual ones are wrong for it.

    >>> import torch
    >>> layers = [torch.nn.Linear(32, 32), torch.nn.ReLU()] * 1
    >>> for _ in range(7):
    ...     layers += [torch.nn.Linear(32, 32), torch.nn.ReLU()]
    >>> found = advise(torch.nn.Sequential(*layers, torch.nn.Linear(32, 4)), "vector:32", most=2)
    >>> [choice.name for choice in found.choices], found.traits["deep"]
    (['auto', 'looks_linear'], '8 hidden layers in a row')

    Every method whose card names this kind of network is planned; a copy of the model is started by each plan and runs
    once forward and once backward, as `wb.diagnose` does. The order is that of the findings (kinds of errors, then of
    warnings), then of the isometry score of plain chains, then of how much of the network the method is made for; see
    docs/advise.md. A model of more than 20 million parameters, or one on meta, is judged by theory alone.

    Args:
        model: a torch.nn.Module, or a function without arguments that builds one. It is left as it is.
        batch: real inputs or (inputs, targets), as for `wb.diagnose`; or a spec ("vector:64"); None: random inputs for
            what the model takes. With real inputs methods that measure on data are tried too.
        most: how many choices, at least 1.
        shared_rates: whether learning rates shall carry over to other widths; then muP and CompleteP are tried.
        seed: of the plans.
        on_method: told each recipe before it is tried.

    Raises:
        ArgumentError: `most` is below 1, or the batch does not fit.
        TraceError: the model's forward pass fails.
        PlanError: no method can plan the model; the reason of the first is given.
    """
    check_seed(seed)
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ArgumentError(f"most must be a whole number of at least 1, got {most!r}")
    require_torch("advising on a model")
    subject = Subject.of(model, batch, seed)
    traits = subject.traits | ({_WISH: "learning rates shall carry over to other widths"} if shared_rates else {})
    tried, refused = try_all(subject, traits, on_method)
    if not tried:
        raise PlanError(f"no method can plan this model; {refused[0].card.name}: {refused[0].reason}")
    tried.sort(key=lambda one: one.rank(traits))
    fitting = [one for one in tried if not one.domain.unmet(traits)]
    sound = [one for one in fitting if not one.attempt.errors] or fitting[:1]
    best = sound[:most]
    usual = {one.place: wrong(one, best[0].attempt, traits) for one in tried if one not in best and _is_asked_for(one)}
    against = {place: refused_here for place, refused_here in usual.items() if refused_here is not None}
    return Advice(
        traits=traits,
        choices=tuple(choice_of(one, traits) for one in best),
        wrong=(*against.values(), *map(refusal, refused)),
        others=tuple(" = ".join((one.card.name, *one.also)) for one in sound[most:] if one.place not in against),
        source="theory" if best[0].attempt.predicted else best[0].attempt.source,
        model_name=type(subject.model).__name__,
    )


def _is_asked_for(tried: Tried) -> bool:
    """Whether people want to know why it is not among the best: a usual method, or one for any network that fails."""
    return tried.domain.is_usual or (not tried.domain.terms and not tried.data and bool(tried.attempt.errors))
