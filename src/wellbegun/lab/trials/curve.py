"""What one copy of a network shows while it trains, and when it is given up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.lab.trials.trial_result import DIVERGED, VANISHED, WHOLE

VANISHES = 1e-30
"""Norm of the first weight's gradient below which a training is stopped: nothing can be learnt from it any more, and
numbers this small (denormal further on) slow a CPU down 20 to 200 times."""


@dataclass
class Curve:
    """What one copy has shown so far.

    Attributes:
        steps: at which it was evaluated.
        train_loss: of the batch there; at the end, of the training examples.
        validation: score there.
        items: the number of each test example at its end (see `wellbegun.lab.measure`).
        ended, stopped: see `TrialResult`.
    """

    steps: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    items: NDArray[Any] = field(default_factory=lambda: np.zeros(0))
    ended: str = WHOLE
    stopped: str = ""

    def note(self, step: int, loss: float, score: float) -> None:
        """Keep what an evaluation found."""
        self.steps.append(step)
        self.train_loss.append(loss)
        self.validation.append(score)

    def goes_on(self, step: int, loss: float, norm: float) -> bool:
        """Say whether another step makes sense, and keep the reason if it does not.

        Args:
            step: number of steps taken so far.
            loss: of the batch.
            norm: of the gradient of the first weight.
        """
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.ended = DIVERGED
            self.stopped = f"stopped at step {step}: the loss or a gradient is infinite or not a number"
        elif step > 0 and norm < VANISHES:
            self.ended = VANISHED
            self.stopped = f"stopped at step {step}: the gradient of the first layer is below {VANISHES:g}"
        return not self.stopped

    def finish(self, step: int, loss: float, score: float) -> None:
        """Keep what was found behind the last step."""
        self.note(step, loss, score)
        if not math.isfinite(loss):
            self.ended, self.stopped = DIVERGED, f"diverged by step {step}: the loss is infinite or not a number"
