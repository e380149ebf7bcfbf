"""Methods that look at data: a plan, a model and a batch give a better plan."""

from wellbegun.tuning.calibrate import calibrate

__all__ = ["calibrate"]
