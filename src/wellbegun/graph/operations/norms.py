"""Normalisations that arrive as one operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellbegun.graph.operations.parameters import compute

if TYPE_CHECKING:
    from wellbegun.graph.call import Call
    from wellbegun.graph.recorder import Recorder

# positions of (scale, shift, running mean, running variance) among the arguments
NORMS = {
    "native_layer_norm": (2, 3),
    "layer_norm": (2, 3),
    "native_group_norm": (1, 2),
    "native_batch_norm": (1, 2, 3, 4),
    "_native_batch_norm_legit": (1, 2, 3, 4),
    "_native_batch_norm_legit_no_training": (1, 2, 3, 4),
    "_batch_norm_with_update": (1, 2, 3, 4),
    "_batch_norm_no_update": (1, 2, 3, 4),
    "batch_norm": (1, 2, 3, 4),
    "cudnn_batch_norm": (1, 2, 3, 4),
    "rms_norm": (2,),
    "_fused_rms_norm": (2,),
}
_ROLES = ("normalisation scale", "normalisation shift", "running mean", "running variance")


def norm(recorder: Recorder, call: Call) -> None:
    """Record a normalisation; one of parameters alone standardises a weight, unless it has a scale of its own."""
    value = call.args[0]
    tensors = [call.argument(position) for position in NORMS[call.name]]
    if recorder.sources(value) and not any(recorder.sources(tensor) for tensor in tensors):
        compute(recorder, call)
        return
    recorder.enter(value)
    index = recorder.record(call, "norm", (value, *(tensor for tensor in tensors if recorder.sources(tensor))))
    for role, tensor in zip(_ROLES, tensors, strict=False):
        if recorder.sources(tensor):
            recorder.has_affine.add((index, role))
        letters = "o" if tensor is not None and tensor.ndim == 1 else ""
        recorder.use_all(recorder.sources(tensor), role, index, call.name, letters=letters)
