"""wb.recording: what initialisation code asks for, carried out by the sampler, the same on every layout."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from wellbegun.authors.active import check_not_recording
from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import check_module, random_states_kept
from wellbegun.plans import Plan
from wellbegun.sampler import check_seed
from wellbegun.targets.apply import Applied, apply
from wellbegun.targets.fit import check_device
from wellbegun.targets.state import State, new_name

if TYPE_CHECKING:
    import torch

    from wellbegun.authors.held import HeldRecorder
    from wellbegun.authors.stand_ins import StandIns

_T = TypeVar("_T")


class Recording:
    """What a recorded block did, known when the block has ended."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._applied: Applied | None = None

    @property
    def plan(self) -> Plan:
        """The plan that was carried out: it can be read, saved, compared and applied elsewhere."""
        return _known(self._plan)

    @property
    def applied(self) -> Applied:
        """What was written, kept and tied, counted."""
        return _known(self._applied)

    def __repr__(self) -> str:
        return f"<Recording: {self._applied}>" if self._applied else "<Recording: not carried out>"


@contextmanager
def recording(
    model: torch.nn.Module,
    *,
    seed: int,
    names: Mapping[str, str] | None = None,
    device: str | None = None,
    overwrite: bool = False,
) -> Iterator[Recording]:
    """Record the code of a block and carry out on the model what it asks for, with numbers of the sampler.

    >>> import torch
    >>> model = torch.nn.Linear(8, 4)
    >>> with recording(model, seed=7) as recorded:
    ...     model.reset_parameters()
    >>> recorded.plan["weight"].law, recorded.applied.elements
    (Uniform(low=-0.35355338, high=0.35355338), 36)

    Inside, each parameter and buffer is a stand-in: a plain tensor of the whole shape that takes no memory, also where
    the model's own is a DTensor or on meta. Nothing is drawn. At the end everything is checked, then every process
    writes its own part of the model's tensors, in place and without communication. What comes out depends on the code,
    the seed and the tensors' names: neither on the sharding nor on any random state, which all stay as they were. What
    the code does not write keeps its bytes. An exception in the block leaves the model as it was.

    Args:
        model: any, wrapped or not (names are those of `apply`), on any device; meta tensors get memory.
        seed: an integer from 0 to 2**64 - 1.
        names: for a part of a larger model with numbering of its own (a pipeline stage), as in `apply`: {name of a
            module or tensor here: its name in the whole model}, {"0": "layers.4"}.
        device: where meta tensors get their memory, as in `apply`.
        overwrite: allow tensors that a plan was applied to.

    Raises:
        ApplyError: when the block ends: the code leaves a tensor without a value, does what cannot be written on this
            layout, or wrote nothing at all. Every problem is listed, and nothing has been written.
        ArgumentError: in the block: the code reads numbers that this process does not have, works on the model's own
            tensors through older references, or asks for memory behind PyTorch's back.
    """
    check_seed(seed)
    inside = check_module(model, "recording")
    where = check_device(device)
    check_not_recording("a recording inside of another one")
    from wellbegun.authors.guard import Guard
    from wellbegun.authors.held import HeldRecorder
    from wellbegun.authors.stand_ins import StandIns

    State(inside, "recording", names)  # do the names fit?
    recorder, done = HeldRecorder(seed), Recording()
    stand_ins = StandIns(inside, recorder, lambda name: new_name(name, names or {})[0], where)
    try:
        with random_states_kept():
            _seed_others(seed)
            with Guard(recorder), recorder:
                yield done
        done._plan = _plan_of(recorder, stand_ins)
        done._applied = apply(done._plan, inside, device=device, overwrite=overwrite, names=names)
    except BaseException:
        done._plan = None
        stand_ins.restore()
        raise


def _plan_of(recorder: HeldRecorder, stand_ins: StandIns) -> Plan:
    """Make the plan, and put the model's own tensors back."""
    from wellbegun.authors.outcome import outcomes
    from wellbegun.recipes.recorded import recorded_plan

    tensors = stand_ins.tensors()
    found = outcomes(recorder, tensors)
    recorder.fill_others(tensors.values())
    stand_ins.take_out()
    return recorded_plan(stand_ins.model, found, recorder.seed, stand_ins.name_of)


def _seed_others(seed: int) -> None:
    """Give code that draws with NumPy or Python the same numbers on every process; the states are given back."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed % 2**63)


def _known(value: _T | None) -> _T:
    if value is None:
        raise ArgumentError("the block has not ended yet, or nothing was carried out: read this after it")
    return value
