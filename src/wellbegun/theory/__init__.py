"""Activations under a Gaussian: moments, gains, mean field, critical points, spectra, finite width."""

from wellbegun.theory.activation import Activation, activation_names, find_activation
from wellbegun.theory.band import Band
from wellbegun.theory.chain import ChainLayer, LayerPrediction, predict_chain
from wellbegun.theory.correlation import Correlated, correlated
from wellbegun.theory.critical import CriticalPoint, critical, mean_compensated, point_for_depth
from wellbegun.theory.critical_line import critical_at_bias, critical_line
from wellbegun.theory.finite_width import FiniteWidth, finite_width
from wellbegun.theory.fixed_point import FixedPoint
from wellbegun.theory.gain import gain
from wellbegun.theory.gated import Gated
from wellbegun.theory.hermite import hermite_coefficients
from wellbegun.theory.mean_field import DepthScales, MeanField
from wellbegun.theory.moments import Moments, moments
from wellbegun.theory.parity import odd_part_slope
from wellbegun.theory.residual import Residual
from wellbegun.theory.spectrum import JacobianSpectrum, jacobian_spectrum

__all__ = [
    "Activation",
    "Band",
    "ChainLayer",
    "Correlated",
    "CriticalPoint",
    "DepthScales",
    "FiniteWidth",
    "FixedPoint",
    "Gated",
    "JacobianSpectrum",
    "LayerPrediction",
    "MeanField",
    "Moments",
    "Residual",
    "activation_names",
    "correlated",
    "critical",
    "critical_at_bias",
    "critical_line",
    "find_activation",
    "finite_width",
    "gain",
    "hermite_coefficients",
    "jacobian_spectrum",
    "mean_compensated",
    "moments",
    "odd_part_slope",
    "point_for_depth",
    "predict_chain",
]
