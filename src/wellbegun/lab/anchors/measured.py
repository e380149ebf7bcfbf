"""Measuring an anchor: its data, one thread, the time it takes, and numbers as they are kept."""

from __future__ import annotations

import time
from functools import partial

from wellbegun.errors import ArgumentError
from wellbegun.lab.anchors.anchor import Anchor, Asked
from wellbegun.lab.data import fetch_set, find_set
from wellbegun.lab.measured_page import Results, kept_digits, made_with
from wellbegun.lab.trials.bundle import one_thread


def measured(anchor: Anchor, asked: Asked) -> Results:
    """Return an anchor's numbers, measured now on one thread; data are fetched on their first use.

    Args:
        anchor: what is measured.
        asked: how.

    Raises:
        ArgumentError: the anchor knows no such device, cannot change its depth, or the device is not there.
        DataError: data are not here and could not be fetched; says what to run.
    """
    import torch

    kind = asked.device.partition(":")[0]
    if kind not in anchor.devices:
        raise ArgumentError(f"the anchor {anchor.name!r} runs on {' or '.join(anchor.devices)}, got {asked.device!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ArgumentError("PyTorch finds no CUDA device on this machine: leave --device out to measure on the CPU")
    if asked.depth is not None and not anchor.deep:
        raise ArgumentError(f"the anchor {anchor.name!r} has no depth to choose, got {asked.depth}")
    if asked.depth is not None and asked.depth < 2:
        raise ArgumentError(f"the depth must be at least 2, got {asked.depth}")
    for name in anchor.needs:
        if not find_set(name).is_here:
            fetch_set(find_set(name), partial(_fetching, asked, name))
    began = time.process_time() if kind == "cpu" else time.perf_counter()  # a machine may be busy
    with one_thread():
        numbers: Results = kept_digits(anchor.measure(asked))
    ended = time.process_time() if kind == "cpu" else time.perf_counter()
    return numbers | {"seconds": round(ended - began, 1)} | made_with()


def _fetching(asked: Asked, name: str, done: int, size: int) -> None:
    asked.on_progress(done, size, f"fetching {name}")
