"""What the checkpoint of a model holds: its state dict, by the names that the model's library expects in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ApplyError
from wellbegun.graph.framework import check_module
from wellbegun.graph.names import canonical_names
from wellbegun.plans import Plan
from wellbegun.targets.checkpoint.tensors import Array, FileTensor, Range, file_tensors
from wellbegun.targets.tensor import tensor_array

if TYPE_CHECKING:
    import torch


def model_tensors(plan: Plan, model: torch.nn.Module, dtype: str | None = None) -> list[FileTensor]:
    """Return the tensors of a model's checkpoint.

    Args:
        plan: made for this model.
        model: on any device, on meta too.
        dtype: storage type of floating-point tensors; None for each entry's own.

    Raises:
        ApplyError: the state dict is not what the plan describes, or its library would write it in another form that
            no consecutive elements of planned tensors give. Every problem is listed.
    """
    inside = check_module(model, "writing a checkpoint")
    canonical = canonical_names(inside)
    state = dict(inside.state_dict(keep_vars=True))
    unknown = [key for key in state if canonical.get(key, key) not in plan]
    if unknown:
        shown = ", ".join(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
        raise ApplyError(
            f"the state dict holds what the plan does not have ({shown}): weights that are computed from others, or "
            "another model. Make the plan for this model, or apply it and save the model with its own library"
        )
    pretrained = getattr(sys.modules.get("transformers"), "PreTrainedModel", None)
    if pretrained is not None and isinstance(inside, pretrained):
        ranges = _pretrained_ranges(plan, inside, canonical)
    else:
        ranges = _once(plan, (canonical.get(key, key) for key in state))
    return file_tensors(plan, ranges, _values(plan, inside, canonical), dtype)


def _once(plan: Plan, names: Iterable[str]) -> list[Range]:
    """Each tensor under one name, the plan's if the state dict has that, and in the plan's order."""
    chosen: dict[str, str] = {}
    for name in names:
        entry = plan[name]
        if entry.name not in chosen or name == entry.name:
            chosen[entry.name] = name
    return [Range(chosen[entry.name], entry.name) for entry in plan if entry.name in chosen]


def _values(plan: Plan, model: torch.nn.Module, canonical: dict[str, str]) -> dict[str, Array]:
    """The values of the model's own tensors that the plan keeps."""
    found = {}
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    for actual, tensor in tensors:
        name = canonical.get(actual, actual)
        if name in plan and plan[name].law.keeps and not tensor.is_meta:
            found[name] = tensor_array(tensor.detach().cpu())
    return found


def _pretrained_ranges(plan: Plan, model: Any, canonical: dict[str, str]) -> list[Range]:
    """What `save_pretrained` would write: tied tensors under their main name, and fused ones cut as they were loaded.

    The library's own functions are run on stand-ins on meta. What they return is a view of a stand-in, whose place in
    memory says which elements of the planned tensor it is.
    """
    import torch
    from transformers.core_model_loading import revert_weight_conversion
    from transformers.modeling_utils import remove_tied_weights_from_state_dict

    state = model.state_dict()
    for name in model._keys_to_ignore_on_save or ():
        state.pop(name, None)
    on_meta = {
        name: tensor if tensor.is_meta else torch.empty_like(tensor, device="meta") for name, tensor in state.items()
    }
    kept = remove_tied_weights_from_state_dict(on_meta, model)
    stand_ins = {name: torch.empty(tensor.shape, dtype=tensor.dtype, device="meta") for name, tensor in kept.items()}
    owners = {tensor.untyped_storage()._cdata: name for name, tensor in stand_ins.items()}
    with _views_only():
        try:
            written = revert_weight_conversion(model, dict(stand_ins))
        except (RuntimeError, ValueError) as error:
            raise _not_ranges(f"{type(model).__name__}: {error}") from None
    ranges = []
    for name, tensor in written.items():
        owner = owners.get(tensor.untyped_storage()._cdata)
        if owner is None or not tensor.is_contiguous():
            raise _not_ranges(name)
        planned = canonical.get(owner, owner)
        whole = tuple(tensor.shape) == plan[planned].shape
        ranges.append(Range(name, planned, int(tensor.storage_offset()), None if whole else tuple(tensor.shape)))
    if sum(tensor.numel() for tensor in written.values()) != sum(tensor.numel() for tensor in stand_ins.values()):
        raise _not_ranges(type(model).__name__)
    return ranges


@contextmanager
def _views_only() -> Iterator[None]:
    """Make copies of meta tensors views, which still show where they come from; refuse what changes a tensor."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Views(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten.clone.default:
                return torch.ops.aten.alias.default(args[0])
            if func._schema.is_mutable:
                raise RuntimeError(f"{func} changes a tensor")
            return func(*args, **(kwargs or {}))

    with Views():  # type: ignore[no-untyped-call]
        yield


def _not_ranges(name: str) -> ApplyError:
    return ApplyError(
        f"transformers saves {name} in another form than consecutive elements of planned tensors: apply the plan to "
        "the model and use save_pretrained"
    )
