"""wb.to_jax: a plan's values as JAX arrays, each device's shard drawn alone."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError, MissingExtraError, closest_names, join_names
from wellbegun.laws import Law, Patched
from wellbegun.plans import Entry, Plan
from wellbegun.sampler import storage_type
from wellbegun.targets.region import Region, read_region
from wellbegun.targets.shardings import assign_shardings
from wellbegun.targets.to_numpy import fill_part, why_not

if TYPE_CHECKING:
    import jax
    from jax.sharding import Sharding


ALIGNMENT = 64
"""Bytes: XLA's CPU backend shares memory that starts at a multiple of this."""


@dataclass(frozen=True)
class Wanted:
    """One array that is asked for.

    Attributes:
        name: its name in the plan, perhaps a tied one.
        entry: what the plan says about it.
        shape: asked for.
        dtype: asked for, by its NumPy name.
        sharding: its own, or None if `shardings` decide.
    """

    name: str
    entry: Entry
    shape: tuple[int, ...]
    dtype: str
    sharding: Sharding | None = None


def to_jax(plan: Plan, shardings: Sharding | Mapping[Any, Sharding] | None = None, *, like: Any = None) -> Any:
    """Return a plan's values as JAX arrays, the same numbers as in PyTorch and NumPy; no model is traced or compiled.

    >>> import torch, wellbegun as wb
    >>> from jax.sharding import NamedSharding, PartitionSpec
    >>> import jax
    >>> plan = wb.plan(torch.nn.Linear(6, 4), "vector:6", seed=7)
    >>> mesh = jax.make_mesh((1,), ("data",))
    >>> split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["data"], []))
    >>> arrays = to_jax(plan, {"*": whole, "*.weight": split})
    >>> arrays["weight"].shape, bool((arrays["weight"] == wb.to_numpy(plan, "weight")).all())
    ((4, 6), True)
    >>> nested = {"weight": jax.ShapeDtypeStruct((4, 6), "bfloat16", sharding=split)}
    >>> to_jax(plan, like=nested)["weight"].dtype
    dtype(bfloat16)

    Each process draws the shards of its own devices and no other numbers, a shard that several devices hold once. Laws
    that shape a whole tensor (orthogonal ones, biases made from a weight) are the exception: each process computes the
    whole once, in its own memory, and cuts its shards from it. Orthogonal values are equal across machines to 1e-5 only
    (see docs/sampler.md), so hosts with different processors may hold slightly different parts there.

    Args:
        plan: of any model; tensors keep the names and the layout that they have there (a weight of torch.nn.Linear is
            (out, in)).
        shardings: one for all tensors, or {name or pattern: sharding} with the patterns of rules ("*.weight",
            "re:..."), of which the later wins; None for JAX's default device, uncommitted as jax.numpy's arrays are.
        like: what is asked for, a pytree of jax.ShapeDtypeStruct (or arrays) such as jax.eval_shape gives. A leaf's
            name is its path, joined with "." ({"h": [{"weight": ...}]} is "h.0.weight"). Its dtype decides, and its
            sharding if `shardings` is left out. Tensors of the plan that it does not hold are not made.

    Returns:
        A dictionary {name: jax.Array}, tied tensors under their first name only; or, with `like`, a pytree of its
        structure, in which each name of a tied tensor has an array of its own (JAX cannot donate one array twice).

    Raises:
        MissingExtraError: JAX is not installed.
        ArgumentError: names or shapes are not the plan's, a sharding does not fit, the plan keeps a tensor's own value,
            or the dtype is one that JAX would cut to 32 bits. Every problem is listed; nothing has been drawn.
    """
    if not isinstance(plan, Plan):
        raise ArgumentError(f"the first argument must be a plan, got {type(plan).__name__}")
    if importlib.util.find_spec("jax") is None:
        raise MissingExtraError("JAX", "jax", "to_jax")
    import jax

    if like is None:
        wanted = [Wanted(entry.name, entry, entry.shape, entry.dtype) for entry in plan]
    else:
        wanted, structure = _read_like(plan, like, shardings is None)
    places = assign_shardings(shardings, plan, {item.name: item.entry for item in wanted})
    placed = [(item, places[item.name] if item.sharding is None else item.sharding) for item in wanted]
    problems = [f"{item.name}: {problem}" for item, place in placed if (problem := _problem(item, place))]
    if problems:
        hint = (
            "" if like is not None else "\nlike={name: jax.ShapeDtypeStruct(shape, dtype)} asks for some tensors only"
        )
        raise ArgumentError("the plan cannot become these JAX arrays:\n  " + "\n  ".join(problems) + hint)
    arrays = [_array(plan, item, place) for item, place in placed]
    if like is not None:
        return jax.tree_util.tree_unflatten(structure, arrays)
    return {item.name: array for item, array in zip(wanted, arrays, strict=True)}


def _read_like(plan: Plan, like: Any, own_shardings: bool) -> tuple[list[Wanted], Any]:
    """Read a pytree of ShapeDtypeStruct: what it asks for, and its structure."""
    import jax

    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    wanted, problems = [], []
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            problems.append(f"{name}: must be a jax.ShapeDtypeStruct, got {leaf!r}")
        elif name not in plan:
            near = closest_names(name, (other for entry in plan for other in (entry.name, *entry.ties)))
            problems.append(f"{name}: not in the plan" + (f"; did you mean {join_names(near)}?" if near else ""))
        else:
            own = getattr(leaf, "sharding", None) if isinstance(leaf, jax.ShapeDtypeStruct | jax.Array) else None
            wanted.append(Wanted(name, plan[name], tuple(leaf.shape), str(leaf.dtype), own if own_shardings else None))
    names = [item.name for item in wanted]
    problems += [f"{name}: two leaves have this path" for name in sorted({n for n in names if names.count(n) > 1})]
    if problems:
        raise ArgumentError("like asks for what the plan does not hold:\n  " + "\n  ".join(problems))
    return wanted, structure


def _problem(item: Wanted, sharding: Sharding | None) -> str:
    """Return why an array cannot be made; "" if it can."""
    import jax

    if item.shape != item.entry.shape:
        return f"has shape {item.entry.shape} in the plan, {item.shape} is asked for"
    problem = why_not(item.entry, item.dtype)
    if problem:
        return problem
    if jax.dtypes.canonicalize_dtype(storage_type(item.dtype)) != storage_type(item.dtype):
        return (
            f"is {item.dtype}, which JAX would cut to 32 bits; call jax.config.update('jax_enable_x64', True), or ask "
            "for another dtype with like="
        )
    return "" if sharding is None else _misfit(sharding, item.shape)


def _misfit(sharding: Sharding, shape: tuple[int, ...]) -> str:
    """Return why JAX cannot lay out an array of this shape so; "" if it can."""
    try:
        len(sharding.addressable_devices)  # a mesh without devices has none to ask for
        sharding.shard_shape(shape)
    except IndexError:  # what JAX raises for a tensor of too few dimensions
        return f"the shape {shape} has too few dimensions for {sharding}"
    except ValueError as error:
        return f"cannot be laid out so: {error}"
    return ""


def _array(plan: Plan, item: Wanted, sharding: Sharding | None) -> jax.Array:
    """Make one array, drawing each different shard once."""
    import jax

    dtype = storage_type(item.dtype)
    everything = tuple(slice(0, size) for size in item.shape)
    drawn: dict[Region, NDArray[Any]] = {}

    def draw(index: Any) -> NDArray[Any]:
        place = read_region(index, item.shape)
        if place not in drawn:
            if place.sizes != item.shape and _shapes_all(item.entry.law, item.shape):
                whole = draw(everything)
                drawn[place] = _aligned(place.sizes, dtype)
                drawn[place][...] = whole[index]
            else:
                out = _aligned(place.sizes, dtype)
                fill_part(out, plan, item.entry, place.corner)
                drawn[place] = out
        return drawn[place]

    array: jax.Array = (
        jax.device_put(draw(everything))  # where jax.numpy.asarray would compile a copy for every shape
        if sharding is None
        else jax.make_array_from_callback(item.shape, sharding, draw, dtype=dtype)
    )
    return array


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return memory that JAX takes over on a CPU as it is, where it would copy another array."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % ALIGNMENT
    return memory[first : first + size].view(dtype).reshape(shape)


def _shapes_all(law: Law, shape: tuple[int, ...]) -> bool:
    """Whether a part of the tensor cannot be computed without the whole."""
    base = law.base if isinstance(law, Patched) else law
    return base.structured and not base.apart and base.points(shape) is None
