"""A task of the user's own code: module:factory that returns a Task, or data for its three parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError, WellbegunError
from wellbegun.lab.task import SPLIT_SEED, Kind, Split, Task
from wellbegun.user_code import import_factory, told_failure

_ALLOWED = (
    "a wellbegun.lab.task.Task, or (train, validation, test), each a torch DataLoader, a dataset of (input, target) "
    "pairs, or a pair (inputs, targets) of arrays or tensors"
)


def load_own(text: str) -> Task:
    """Return the task that a function of the user's makes.

    A loader is read once, from its first batch to its last, with torch's random numbers set beforehand: every arm of a
    comparison sees the same data. What is asked for is read off the targets: whole numbers, one for each input, are
    classes; one for each place of a row of tokens, the next tokens; pictures of zeros and ones, masks; rows of numbers
    from -1 to 1, a field.

    Args:
        text: module:factory, a function without arguments.

    Raises:
        ArgumentError: no such function, it fails, or returns something else.
    """
    factory = import_factory(
        text, argument="TASK", example="my_data:task", otherwise="the name of a task, or a folder of pictures"
    )
    try:
        made = factory()
        if isinstance(made, Task):
            return made
        if not isinstance(made, (tuple, list)) or len(made) != 3:
            raise ArgumentError(f"{text} must return {_ALLOWED}; got {type(made).__name__}")
        parts = [
            _split(part, f"{name} of {text}") for name, part in zip(("train", "validation", "test"), made, strict=True)
        ]
    except WellbegunError:
        raise
    except Exception as error:
        raise ArgumentError(told_failure(f"making the task {text}", error)) from error
    kind, outputs = _asked_for(parts[0], text)
    if kind in ("classes", "tokens"):
        outputs = 1 + max(int(part.targets.max()) for part in parts)
    description = f"data of {text}: {len(parts[0]):,} to train, {len(parts[1]):,} to choose, {len(parts[2]):,} to score"
    return Task(text, description, text, "yours", kind, outputs, parts[0], parts[1], parts[2])


def _split(part: Any, where: str) -> Split:
    """Read one part, whatever form it has."""
    if isinstance(part, Split):
        return part
    if isinstance(part, (tuple, list)) and len(part) == 2 and all(hasattr(half, "shape") for half in part):
        return Split(*(_array(half) for half in part))
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SPLIT_SEED)
        if isinstance(part, torch.utils.data.DataLoader):
            batches = [(_array(batch[0]), _array(batch[1])) for batch in part]
        elif hasattr(part, "__len__") and hasattr(part, "__getitem__"):
            pairs = [part[i] for i in range(len(part))]
            batches = [(_array(pair[0])[None], _array(pair[1])[None]) for pair in pairs]
        else:
            raise ArgumentError(f"{where} must be one of: {_ALLOWED}; got {type(part).__name__}")
    if not batches:
        raise ArgumentError(f"{where} is empty")
    inputs, targets = (np.concatenate(halves) for halves in zip(*batches, strict=True))
    return Split(inputs, targets)


def _array(value: Any) -> NDArray[Any]:
    """Return whole numbers as int64 and all others as float32."""
    array = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
    return array.astype(np.int64 if array.dtype.kind in "iub" else np.float32, copy=False)


def _asked_for(train: Split, text: str) -> tuple[Kind, int]:
    inputs, targets = train.inputs, train.targets
    if targets.dtype == np.int64 and targets.ndim == 1:
        return "classes", 0
    if inputs.dtype == np.int64 and targets.dtype == np.int64 and inputs.shape == targets.shape:
        return "tokens", 0
    if inputs.ndim == 4 and targets.ndim == 4 and inputs.shape[2:] == targets.shape[2:]:
        return "mask", targets.shape[1]
    if inputs.ndim == 2 and targets.ndim == 2 and targets.dtype == np.float32:
        return "field", targets.shape[1]
    raise ArgumentError(
        f"{text}: inputs {inputs.dtype} {inputs.shape} with targets {targets.dtype} {targets.shape} are no task that "
        "the lab knows: classes (n,), next tokens (n, length), masks (n, channels, height, width) or a "
        "field (n, channels)"
    )
