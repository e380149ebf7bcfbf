"""Methods that look at data, gradients or other weights: a plan, a model and a batch give a better plan."""

from wellbegun.tuning.adapters import plan_adapters
from wellbegun.tuning.admin import profile_admin
from wellbegun.tuning.calibrate import calibrate
from wellbegun.tuning.equal_rates import equal_rates
from wellbegun.tuning.gradinit import gradinit
from wellbegun.tuning.metainit import metainit
from wellbegun.tuning.new_tokens import plan_new_tokens
from wellbegun.tuning.select_weights import select_weights
from wellbegun.tuning.standardize import standardize
from wellbegun.tuning.swim import swim
from wellbegun.tuning.upcycle import upcycle

__all__ = [
    "calibrate",
    "equal_rates",
    "gradinit",
    "metainit",
    "plan_adapters",
    "plan_new_tokens",
    "profile_admin",
    "select_weights",
    "standardize",
    "swim",
    "upcycle",
]
