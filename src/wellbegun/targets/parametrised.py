"""Setting weights that are computed from other tensors, so that what is computed is what was planned."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError
from wellbegun.laws import Law, Normal, Orthogonal
from wellbegun.plans import Entry, Plan
from wellbegun.sampler import Stream
from wellbegun.targets.fill import fill_tensor

if TYPE_CHECKING:
    import torch

    from wellbegun.graph.parametrised import Parametrised

POWER_ITERATIONS = 30
"""Steps from a random vector to the first singular vectors; torch takes 15 in the constructor and one more a pass."""

TOLERANCE = 1e-4
"""How far an orthogonal weight may be from the planned one, in any element."""


def check_parametrised(weight: Parametrised, plan: Plan, entry: Entry) -> None:
    """Raise ArgumentError unless the weight can be set to what is planned."""
    if weight.kind == "spectral_norm" and entry.law.moments(entry.shape) == (0.0, 0.0):
        raise ArgumentError("spectral_norm divides the weight by its largest singular value, which would be 0")
    if weight.kind == "orthogonal":
        check_orthogonal(entry.law)
        _set_orthogonal(_in_memory(weight.parametrization_list), plan, entry)


def check_orthogonal(law: Law) -> None:
    """Raise ArgumentError unless a weight under the orthogonal parametrisation can hold the law's values."""
    if not isinstance(law, Orthogonal) or law.gain != 1 or law.blocks != 1:
        raise ArgumentError(f"the orthogonal parametrisation holds Orthogonal() with gain 1 only, not {law!r}")


def set_parametrised(weight: Parametrised, plan: Plan, entry: Entry) -> None:
    """Make the weight what is planned; its first carrier holds the planned values already, but for orthogonal ones.

    weight_norm: v is the planned weight, g its norm. Where a slice of the planned weight is 0, g is 0 and v a random
        direction of the tensor's own stream, because a norm of 0 would divide by 0.
    spectral_norm: the planned values divided by their largest singular value; u and v are estimated again.
    prune: the planned values times the mask, which stays.
    orthogonal: through the parametrisation's right_inverse.
    """
    import torch

    with torch.no_grad():
        if weight.kind == "weight_norm":
            _set_norm(weight, plan, entry)
        elif weight.kind == "spectral_norm":
            estimate_singular_vectors(weight, plan, entry)
        elif weight.kind == "orthogonal":
            _set_orthogonal(weight.parametrization_list, plan, entry)
        refresh(weight)


def refresh(weight: Parametrised) -> None:
    """Compute the weight that the older forms keep as an attribute; hooks compute it again before each pass."""
    import torch

    hook: Any = weight.hook
    if hook is None:
        return
    with torch.no_grad():
        if weight.kind == "spectral_norm":
            value = hook.compute_weight(weight.module, do_power_iteration=False)
        else:
            value = hook.apply_mask(weight.module) if weight.kind == "prune" else hook.compute_weight(weight.module)
    setattr(weight.module, weight.name, value)


def computed_weight(weight: Parametrised) -> torch.Tensor:
    """The weight of weight_norm or the orthogonal parametrisation, as the next forward pass will compute it."""
    import torch

    hook: Any = weight.hook
    with torch.no_grad():
        found: torch.Tensor = (
            getattr(weight.module, weight.name) if hook is None else hook.compute_weight(weight.module)
        )
    return found.detach()


def rounding(dtype: torch.dtype) -> float:
    """How far such a weight may be from the planned one, in units of the largest value."""
    import torch

    return max(TOLERANCE, 4 * torch.finfo(dtype).eps)


def estimate_singular_vectors(weight: Parametrised, plan: Plan, entry: Entry) -> None:
    """Estimate u and v of spectral_norm, from a start that the plan's seed and the tensor's name decide."""
    import torch

    if len(weight.carriers) == 1:  # a vector, whose norm needs no estimate
        return
    values = weight.tensor(weight.carriers[0]).detach()
    matrix = values.movedim(weight.dim, 0).flatten(1)
    matrix = matrix.to(torch.promote_types(matrix.dtype, torch.float32))
    left = torch.empty(len(matrix), dtype=matrix.dtype, device=matrix.device)
    fill_tensor(left, Normal(1.0), Stream.of(plan.seed, f"{entry.stream}:u"))
    for _ in range(POWER_ITERATIONS):
        right = torch.nn.functional.normalize(matrix.mH @ left, dim=0)
        left = torch.nn.functional.normalize(matrix @ right, dim=0)
    with torch.no_grad():
        for carrier, vector in zip(weight.carriers[1:], (left, right), strict=True):
            weight.tensor(carrier).copy_(vector)


def _set_norm(weight: Parametrised, plan: Plan, entry: Entry) -> None:
    import torch

    direction, size = (weight.tensor(carrier) for carrier in weight.carriers)
    norms = torch.norm_except_dim(direction, 2, weight.dim)
    empty = norms == 0
    if bool(empty.any()):
        drawn = torch.empty_like(direction)
        fill_tensor(drawn, Normal(1.0), Stream.of(plan.seed, f"{entry.stream}:direction"))
        direction.copy_(torch.where(empty, drawn, direction))
        size.copy_(norms.reshape(size.shape))
        return
    for candidate in _norms(direction, norms, weight.dim):
        size.copy_(candidate.reshape(size.shape))
        if torch.equal(torch._weight_norm(direction, size, weight.dim), direction):
            return


def _norms(direction: torch.Tensor, norms: torch.Tensor, dim: int) -> list[torch.Tensor]:
    """The norm as it may be computed: by the fused kernel, whose last bit can differ, and by itself (last, to stay)."""
    import torch

    if dim not in (0, direction.ndim - 1):
        return [norms]
    return [torch._weight_norm_interface(direction, norms, dim)[1].to(norms.dtype), norms]


def _set_orthogonal(chain: torch.nn.Module, plan: Plan, entry: Entry) -> None:
    """Set a parametrisation list, and raise ArgumentError where that does not give the planned matrix."""
    import torch

    values = torch.empty_like(chain.original.detach())  # type: ignore[operator]
    fill_tensor(values, entry.law, Stream.of(plan.seed, entry.stream))
    inverse: Callable[[torch.Tensor], None] = chain.right_inverse  # type: ignore[assignment]
    try:
        # right_inverse completes a tall matrix to a square one with numbers of torch's generator
        digest = hashlib.blake2b(f"{plan.seed}:{entry.stream}".encode(), digest_size=8).digest()
        devices = [values.device] if values.is_cuda else []
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            for generator in (torch.default_generator, *(torch.cuda.default_generators[d.index] for d in devices)):
                generator.manual_seed(int.from_bytes(digest, "little") >> 1)
            inverse(values.clone())
            found = chain()
    except (NotImplementedError, RuntimeError) as error:
        raise ArgumentError(f"its orthogonal parametrisation cannot be set: {error}") from None
    difference = float((found - values).abs().max()) if values.numel() else 0.0
    if not difference <= TOLERANCE:
        raise ArgumentError(f"its orthogonal parametrisation gives a matrix that is off by {difference:.2g}")


def _in_memory(chain: torch.nn.Module) -> torch.nn.Module:
    """A copy to try on."""
    trial = copy.deepcopy(chain)
    if any(tensor.is_meta for tensor in (*chain.parameters(), *chain.buffers())):
        trial = trial.to_empty(device="cpu")
    return trial
