"""Activations under a Gaussian: moments, gains, mean field, critical points, spectra, finite width."""

from wellbegun.theory.activation import Activation, activation_names, find_activation
from wellbegun.theory.average import averaged_second
from wellbegun.theory.band import Band
from wellbegun.theory.chain import ChainLayer, LayerPrediction, predict_chain
from wellbegun.theory.correlation import Correlated, correlated
from wellbegun.theory.critical import CriticalPoint, critical, mean_compensated, point_for_depth
from wellbegun.theory.critical_line import critical_at_bias, critical_line
from wellbegun.theory.dead import born_dead, share_off
from wellbegun.theory.finite_width import FiniteWidth, finite_width
from wellbegun.theory.fixed_point import FixedPoint
from wellbegun.theory.gain import gain
from wellbegun.theory.gated import Gated
from wellbegun.theory.hermite import hermite_coefficients
from wellbegun.theory.maximum import Maximum, maximum
from wellbegun.theory.mean_field import DepthScales, MeanField
from wellbegun.theory.moments import Moments, moments
from wellbegun.theory.parity import odd_part_slope
from wellbegun.theory.residual import Residual
from wellbegun.theory.singular_values import SingularValues, singular_values
from wellbegun.theory.softmax import Softmax, softmax
from wellbegun.theory.spectrum import JacobianSpectrum, jacobian_spectrum
from wellbegun.theory.tokens import attended_correlation

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
    "Maximum",
    "MeanField",
    "Moments",
    "Residual",
    "SingularValues",
    "Softmax",
    "activation_names",
    "attended_correlation",
    "averaged_second",
    "born_dead",
    "correlated",
    "critical",
    "critical_at_bias",
    "critical_line",
    "find_activation",
    "finite_width",
    "gain",
    "hermite_coefficients",
    "jacobian_spectrum",
    "maximum",
    "mean_compensated",
    "moments",
    "odd_part_slope",
    "point_for_depth",
    "predict_chain",
    "share_off",
    "singular_values",
    "softmax",
]
