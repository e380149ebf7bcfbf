"""What is measured of one layer at step 0."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerFacts:
    """Measurements on one layer, in float64, on one batch.

    Attributes:
        name: the layer's weight, as the model names it.
        activation: what the layer's output goes through ("tanh", "relu"), "" if nothing.
        signal: second moment of the layer's output, before its activation.
        mean: mean of the layer's output.
        activated: second moment behind the activation; equal to `signal` where there is none.
        gradient: second moment of the loss's gradient with respect to the layer's output; nan if nothing that is
            trained needs it, infinite if any of it is infinite or not a number.
        weight_gradient: second moment of the loss's gradient with respect to the layer's weight; nan if it is frozen.
        dead: share of units whose activation is zero for every input of the batch; nan for fewer than 8 inputs.
        saturated: share of values where a bounded activation is flat (its slope below a tenth of its largest).
        cosine: mean cosine between the layer's outputs for different inputs; 1 means that the input is forgotten; nan
            for fewer than 8 inputs.
        twins: share of units that equal another unit of the layer on every input.
        finite: whether every output is finite (of a gradient that is not, the second moment tells).
        normalised: whether a normalisation stands between the layer and its activation.
        starts_at_zero: whether the layer's weight is zero throughout, and can leave zero by training nevertheless.
        waits_for: a parameter behind the layer that is zero throughout and gets a gradient: until it has moved,
            the layer gets none; "" if there is no such parameter.
    """

    name: str
    activation: str
    signal: float
    mean: float
    activated: float
    gradient: float
    weight_gradient: float
    dead: float
    saturated: float
    cosine: float
    twins: float
    finite: bool
    normalised: bool = False
    starts_at_zero: bool = False
    waits_for: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or worth knowing, before training starts.

    Attributes:
        kind: short name of the cause: "symmetric", "vanishing", "exploding", "saturated", "dead", "collapsed",
            "no gradient", "non-finite", "overconfident", "copies", "not judged".
        level: "error", "warning" or "note".
        layer: the first guilty layer.
        message: one sentence with the measured numbers.
        remedy: what to change.
    """

    kind: str
    level: str
    layer: str
    message: str
    remedy: str
