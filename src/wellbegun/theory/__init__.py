"""Activations under a Gaussian: moments, gains, critical points, odd parts."""

from wellbegun.theory.activation import Activation, activation_names, find_activation
from wellbegun.theory.band import Band
from wellbegun.theory.chain import ChainLayer, LayerPrediction, predict_chain
from wellbegun.theory.critical import CriticalPoint, critical, mean_compensated, point_for_depth
from wellbegun.theory.gain import gain
from wellbegun.theory.moments import Moments, moments
from wellbegun.theory.parity import odd_part_slope

__all__ = [
    "Activation",
    "Band",
    "ChainLayer",
    "CriticalPoint",
    "LayerPrediction",
    "Moments",
    "activation_names",
    "critical",
    "find_activation",
    "gain",
    "mean_compensated",
    "moments",
    "odd_part_slope",
    "point_for_depth",
    "predict_chain",
]
