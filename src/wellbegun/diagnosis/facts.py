"""What is measured at step 0: of each layer, parameter, attention and residual stream; and what is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wellbegun.diagnosis.histogram import Histogram


@dataclass(frozen=True)
class LayerFacts:
    """Measurements on one use of one layer, in float64, on one batch; nan where something was not measured.

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
        twins: share of units that equal another unit of the layer on every input; nan where the model's code pads or
            repeats the weight, which makes units equal whatever they start from.
        finite: whether every output is finite (of a gradient that is not, the second moment tells).
        normalised: whether a normalisation stands behind the layer, before its activation and any sum.
        starts_at_zero: whether the layer's weight is zero throughout, and can leave zero by training nevertheless.
        waits_for: a parameter behind the layer that is zero throughout and gets a gradient: until it has moved,
            the layer gets none; "" if there is no such parameter.
        norm: scale of the normalisation that stands behind the layer; "" if it has none.
        inflow: second moment of what flows into the layer.
        width: number of units.
        tokens: mean cosine between the layer's outputs at different places of the same input.
        branch: whether it stands in a branch that begins and ends in a residual stream.
        kind: what the function does: "linear", "convolution", "lookup", "recurrent".
        expected: second moment of the output by theory, where theory was asked.
        expected_gradient: that of the gradient, by theory, in the unit of the measured gradient at the last layer.
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
    norm: str = ""
    inflow: float = math.nan
    width: int = 0
    tokens: float = math.nan
    branch: bool = False
    kind: str = "linear"
    expected: float = math.nan
    expected_gradient: float = math.nan


@dataclass(frozen=True)
class LayerBands:
    """Where the second moments of one layer of a plain chain end, for 99 of 100 draws of all weights.

    Attributes:
        signal: lowest and highest second moment of the output.
        gradient: that of the gradient, in the unit of the measured gradient at the last layer.
    """

    signal: tuple[float, float]
    gradient: tuple[float, float]


@dataclass(frozen=True)
class PhasePoint:
    """Where one layer lies in the plane of weight and bias variance.

    Attributes:
        layer: its weight.
        weight_variance: sigma_w², fan-in times the second moment of the weight.
        bias_variance: sigma_b², second moment of the bias.
    """

    layer: str
    weight_variance: float
    bias_variance: float


@dataclass(frozen=True)
class PhaseFacts:
    """The layers of a plain chain in the plane of their activation, or why they have no place there.

    Attributes:
        activation: that most of the layers share; "" where theory does not apply.
        points: of the layers between two such activations.
        reason: why there are none, in a sentence without its end; "" where there are some.
    """

    activation: str = ""
    points: tuple[PhasePoint, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class SpreadFacts:
    """How the values around one layer are spread, counted on at most 2,048 of them, always the same places.

    Attributes:
        before: of the layer's output, before its activation; None where nothing was run.
        between: of the distance of each of these values from its mean over the inputs: narrow where inputs are
            forgotten; None for fewer than 8 inputs.
        behind: of what the activation makes of the output; None without an activation.
    """

    before: Histogram | None = None
    between: Histogram | None = None
    behind: Histogram | None = None


@dataclass(frozen=True)
class TensorFacts:
    """One parameter as it is stored, summed in float64.

    Attributes:
        name: as the model names it.
        dtype: storage type ("float32", "bfloat16").
        size: number of elements.
        mean, std: of the finite elements.
        planned: standard deviation that the plan gives it; nan without a plan.
        bad: elements that are infinite or not a number.
        largest: share of elements at the largest number that the type holds.
        tiny: share of elements that are not zero and below the smallest normal number of the type.
        zero: share of elements that are zero.
        matrix: whether it has two or more dimensions.
        trained: whether it takes gradients.
        used: whether any operation of the forward pass took it.
        reached: whether the loss depends on what was made of it.
        gradient: second moment of its gradient; nan if it got none.
    """

    name: str
    dtype: str
    size: int
    mean: float
    std: float
    planned: float = math.nan
    bad: int = 0
    largest: float = 0.0
    tiny: float = 0.0
    zero: float = 0.0
    matrix: bool = True
    trained: bool = True
    used: bool = True
    reached: bool = True
    gradient: float = math.nan


@dataclass(frozen=True)
class AttentionFacts:
    """One attention, on a sample of its rows.

    Attributes:
        layer: of the layers that its queries and keys come from, the one with the larger output.
        other: the one with the smaller output; the same where both come from one.
        scores: standard deviation of a row's scores, before the softmax; the mean over rows.
        entropy: entropy of a row over the largest that it can have, ln(places); the mean over rows. 1 is uniform.
        places: mean number of places that a row may look at.
    """

    layer: str
    other: str
    scores: float
    entropy: float
    places: float


@dataclass(frozen=True)
class StreamFacts:
    """One residual stream: what it held, and what was added to it, one after the other.

    Attributes:
        writers: the layer that made each addition, the last one before the sum.
        branches: second moment of each addition.
        sums: second moment of the stream, first before all additions, then behind each.
        tokens: mean cosine between the places of one input, for each sum; nan for streams without places.
    """

    writers: tuple[str, ...]
    branches: tuple[float, ...]
    sums: tuple[float, ...]
    tokens: tuple[float, ...]


@dataclass(frozen=True)
class JacobianFacts:
    """Singular values of the outputs' slopes with respect to the inputs, from random projections.

    Attributes:
        largest, smallest: of the projected Jacobian, the mean over inputs.
        probes: number of random directions.
    """

    largest: float
    smallest: float
    probes: int


@dataclass(frozen=True)
class Facts:
    """Everything that findings are made of.

    Attributes:
        layers: in the order of execution; the last one is the output layer.
        loss: at step 0; nan where none was computed.
        classes: their number, if the loss is the cross-entropy of the output.
        prior: entropy of the targets' own frequencies, where there are enough of them; nan otherwise.
        logits: second moment of the output, about the mean of each row, for classes; nan otherwise.
        tensors: the parameters.
        attentions, streams: in the order of execution.
        copies: names of tensors that hold the same numbers, see `copies`.
        unseen: weights that nothing is known about.
        jacobian: where it was asked for.
        predicted: whether the numbers are theory, and nothing was run.
        aliases: of a layer's weight, where it is computed from parameters: all of them.
        data_cosine: mean cosine between the inputs themselves, if they are numbers.
        bands: of the layers, where theory was asked and the network is a plain chain; empty otherwise.
        spreads: of the layers, where the network was run; empty otherwise. Counted when it is looked at.
        phase: the plane of weight and bias variance, where theory was asked, or of a skeleton; None otherwise.
        inputs: number of inputs in the batch, of all processes; None where it is not known.
        differing: of each parameter that should be the same on all processes and is not, the processes that hold other
            numbers than the first one.
    """

    layers: tuple[LayerFacts, ...]
    loss: float
    classes: int | None = None
    prior: float = math.nan
    logits: float = math.nan
    tensors: tuple[TensorFacts, ...] = ()
    attentions: tuple[AttentionFacts, ...] = ()
    streams: tuple[StreamFacts, ...] = ()
    copies: tuple[Copies, ...] = ()
    unseen: tuple[str, ...] = ()
    jacobian: JacobianFacts | None = None
    predicted: bool = False
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    data_cosine: float = math.nan
    bands: tuple[LayerBands, ...] = ()
    spreads: Sequence[SpreadFacts] = ()
    phase: PhaseFacts | None = None
    inputs: int | None = None
    differing: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def hidden(self) -> tuple[LayerFacts, ...]:
        """The layers with an activation; of a network without activations, all but the last."""
        active = tuple(layer for layer in self.layers if layer.activation)
        return active if active else self.layers[:-1]


@dataclass(frozen=True)
class Copies:
    """Tensors, or parts of them, that hold the same random numbers.

    Attributes:
        names: the tensors, two or more; one tensor twice if its parts repeat one another.
        blocks: number of blocks of 64 elements that they share; 0 if the tensors are equal as a whole.
    """

    names: tuple[str, ...]
    blocks: int = 0


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or worth knowing, before training starts.

    Attributes:
        kind: short name of the cause: "vanishing", "dead", ... (the table in docs/diagnosis.md lists them all).
        level: "error", "warning" or "note".
        layer: the first guilty layer.
        message: one sentence with the measured numbers.
        remedy: what to change.
        weights: the tensors whose laws `Diagnosis.repair` changes; empty if no starting value mends this.
    """

    kind: str
    level: str
    layer: str
    message: str
    remedy: str
    weights: tuple[str, ...] = ()
