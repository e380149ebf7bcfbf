"""Stand-ins: memory of the whole shape that a model has in place of its tensors while code is recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from wellbegun.authors.held import Held, HeldRecorder
from wellbegun.authors.schema import hollow
from wellbegun.errors import ApplyError, ArgumentError
from wellbegun.graph.names import canonical_names
from wellbegun.graph.stage import Attributes
from wellbegun.graph.variable import identity

OWN_MARKS = ("_wellbegun_plan",)
"""Attributes of a tensor that say something of its numbers, which a stand-in has not."""

MODULE_MARKS = ("_is_hf_initialized",)
"""Attributes of a module by which transformers knows that its constructor has initialised it."""


@dataclass(frozen=True)
class _Swapped:
    """A tensor of the model and what stands for it."""

    name: str
    real: torch.Tensor
    stand_in: torch.Tensor


class StandIns:
    """A model with stand-ins in the place of its parameters and buffers, until they are taken out again.

    A stand-in is a plain tensor of the logical shape on the CPU, to which the system gives no memory: of a DTensor the
    whole shape, of a meta tensor the same. It has the tensor's attributes and `requires_grad`. Modules have the classes
    that they were written as: `fully_shard` gives them others, and code that asks for a class, or for the file that it
    comes from (transformers does), would do something else on a sharded model.
    """

    def __init__(
        self, model: torch.nn.Module, recorder: HeldRecorder, name_of: Callable[[str], str], device: str | None
    ) -> None:
        self.model, self.recorder, self.device = model, recorder, device
        self.name_of = name_of
        self._before = Attributes(model)
        self._at: dict[tuple[int, str], torch.Tensor] = {}
        self._swapped: dict[int, _Swapped] = {}
        self._changed: list[tuple[torch.Tensor, bool, dict[str, Any]]] = []
        self._classes = [(module, type(module)) for module in model.modules()]
        self._marks = [(module, key, vars(module)[key]) for module in model.modules() for key in _marks_of(module)]
        try:
            self._put_in()
        except BaseException:
            self.restore()
            raise

    def _put_in(self) -> None:
        alike: dict[object, torch.Tensor] = {}
        into: dict[int, torch.Tensor] = {}
        for name, (module, key) in _places(self.model).items():
            real = getattr(module, key)
            if (id(module), key) in self._at:
                continue
            self._at[id(module), key] = real
            stand_in = alike.get(identity(real))
            if stand_in is None:
                stand_in = alike[identity(real)] = self._stand_in(name, real)
                self._swapped[id(stand_in)] = _Swapped(name, real, stand_in)
            into[id(real)] = stand_in
            _table(module, key)[key] = stand_in
        for module, key, _ in self._marks:
            del vars(module)[key]
        _swap_attributes(self.model, into)
        for module, kind in self._classes:
            if kind is not (written := _class_as_written(kind)):
                module.__class__ = written

    def _stand_in(self, name: str, real: torch.Tensor) -> torch.Tensor:
        shape = tuple(getattr(real, "ds_shape", real.shape))
        made = hollow(real) if shape == tuple(real.shape) else torch.empty(shape, dtype=real.dtype)
        if made is real:
            raise ArgumentError(f"{name} has the shape {list(shape)}, more than this machine has addresses for")
        if isinstance(real, torch.nn.Parameter):
            made = torch.nn.Parameter(made, requires_grad=real.requires_grad)
        else:
            made.requires_grad_(real.requires_grad)
        vars(made).update({key: value for key, value in vars(real).items() if not _is_own(key)})
        if made.numel():
            self.recorder.stand_for(made, Held(self.name_of(name), lambda: numbers_of(real)))
            self.recorder.forbid(real, name)
        return made

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return what the model holds now, stand-ins and what the code put there, each once, by name in the plan."""
        found: dict[str, torch.Tensor] = {}
        seen: set[int] = set()
        for name, (module, key) in _places(self.model).items():
            tensor = getattr(module, key)
            if id(tensor) not in seen:
                seen.add(id(tensor))
                found[self.name_of(name)] = tensor
        return found

    def take_out(self) -> None:
        """Put the model's own tensors back where their stand-ins are now, and memory where the code made new tensors.

        What the code has set on stand-ins (`requires_grad`, attributes) is set on the tensors.

        Raises:
            ApplyError: that cannot be done; what has been done until then, `restore` undoes.
        """
        back: dict[int, torch.Tensor] = {}
        used: set[int] = set()
        places = _places(self.model)
        for name, (module, key) in places.items():
            now = getattr(module, key)
            swapped = self._swapped.get(id(now))
            if swapped is None:
                continue
            own = self._at.get((id(module), key))
            mine = own is not None and identity(own) == identity(swapped.real)
            back[id(now)] = swapped.real
            _table(module, key)[key] = self._finished(name, now, own if mine and own is not None else swapped.real)
            used.add(id(_table(module, key)[key]))
        for name, (module, key) in places.items():
            now = getattr(module, key)
            if id(now) in used:
                continue
            if id(now) not in back:
                own = self._at.get((id(module), key))
                back[id(now)] = self._replaced(name, now, own if own is not None and id(own) not in used else None)
                used.add(id(back[id(now)]))
            _table(module, key)[key] = back[id(now)]
        _swap_attributes(self.model, back)
        self._check_attributes(places)
        self._give_classes_back()
        for module, key, value in self._marks:
            vars(module).setdefault(key, value)

    def restore(self) -> None:
        """Put everything back as it was before."""
        for real, requires_grad, attributes in reversed(self._changed):
            if real.requires_grad != requires_grad:
                real.requires_grad_(requires_grad)
            vars(real).clear()
            vars(real).update(attributes)
        self._before.restore()
        self._give_classes_back()

    def _give_classes_back(self) -> None:
        for module, kind in self._classes:
            if type(module) is _class_as_written(kind) is not kind:
                module.__class__ = kind

    def _finished(self, name: str, stand_in: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        shape = tuple(getattr(real, "ds_shape", real.shape))
        if tuple(stand_in.shape) != shape or stand_in.dtype != real.dtype:
            raise ApplyError(
                f"the code gives {name} the shape {list(stand_in.shape)} and type {stand_in.dtype}, and it has "
                f"{list(shape)} and {real.dtype}; change shapes and types before or after the recording"
            )
        self._let_learn(real, stand_in.requires_grad)
        marks = {key: value for key, value in vars(real).items() if _is_own(key)}
        vars(real).clear()
        vars(real).update(vars(stand_in) | marks)
        return real

    def _let_learn(self, real: torch.Tensor, requires_grad: bool) -> None:
        self._changed.append((real, real.requires_grad, dict(vars(real))))
        if requires_grad != real.requires_grad and real.is_leaf:
            real.requires_grad_(requires_grad)

    def _replaced(self, name: str, made: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
        """The tensor that gets the numbers of one that the code made: the old one if it fits, else a new one."""
        alike = own is not None and (made.shape, made.dtype) == (own.shape, own.dtype)
        if own is not None and alike and isinstance(made, torch.nn.Parameter) == isinstance(own, torch.nn.Parameter):
            self._let_learn(own, made.requires_grad)
            return own
        in_parts = type(own).__name__ == "DTensor" or tuple(getattr(own, "ds_shape", ())) not in ((), made.shape)
        if own is not None and in_parts:
            raise ApplyError(
                f"the code replaces {name}, which lies on several processes, by a tensor of shape {list(made.shape)} "
                f"and type {made.dtype}; shapes and types can be changed before the model is sharded"
            )
        device = own.device if own is not None and not own.is_meta else made.device
        if device.type == "meta" or (own is not None and own.is_meta):
            device = torch.device(self.device or "cpu")
        with torch.inference_mode(False):
            memory = torch.empty_strided(made.shape, made.stride(), dtype=made.dtype, device=device)
        if isinstance(made, torch.nn.Parameter):
            memory = torch.nn.Parameter(memory, requires_grad=made.requires_grad)
        vars(memory).update(vars(made))
        return memory

    def _check_attributes(self, places: Mapping[str, tuple[torch.nn.Module, str]]) -> None:
        """Raise ApplyError where a module keeps a view of a stand-in, whose memory nobody fills."""
        stand_ins = {
            swapped.stand_in.untyped_storage()._cdata: swapped.name
            for swapped in self._swapped.values()
            if swapped.stand_in.numel()
        }
        for module in {id(module): module for module, _ in places.values()}.values():
            held = {key: value for key, value in vars(module).items() if key not in _TABLES}
            for key, value in held.items():
                leaves = tree_leaves(value) if isinstance(value, torch.Tensor | list | tuple | dict) else []
                strided = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided]
                for leaf in strided:
                    name = stand_ins.get(leaf.untyped_storage()._cdata) if leaf.numel() else None
                    if name is not None:
                        raise ApplyError(
                            f"the code keeps a view of {name} as {type(module).__name__}.{key}, which is no parameter "
                            "and no buffer; make it after the recording"
                        )


_TABLES = ("_parameters", "_buffers", "_modules")


def numbers_of(real: torch.Tensor) -> torch.Tensor:
    """Return the numbers of a whole tensor, on the CPU.

    Raises:
        ArgumentError: this process does not have them.
    """
    if hasattr(real, "ds_shape") and tuple(real.ds_shape) != tuple(real.shape):
        raise ArgumentError("they are partitioned over processes (ZeRO-3), and reading them would need communication")
    if type(real).__name__ == "DTensor":
        tensor: Any = real
        if any(not placement.is_replicate() for placement in tensor.placements):
            raise ArgumentError(
                f"it is sharded ({tensor.placements}), and reading it would need communication; write the whole of it "
                "first, or do this outside of the recording"
            )
        real = tensor.to_local()
    if real.is_meta:
        raise ArgumentError("it is on meta and has none")
    return real.detach().to("cpu")


def _class_as_written(kind: type) -> type:
    """The class that a class made by `fully_shard` or `replicate` stands in for, or the class itself."""
    known = (("torch.distributed.fsdp", "FSDPModule"), ("torch.distributed._composable.replicate", "DDP"))
    makers = tuple(getattr(sys.modules.get(place), name, None) for place, name in known)
    mixed_in = tuple(maker for maker in makers if isinstance(maker, type))
    if not issubclass(kind, mixed_in):
        return kind
    return next(base for base in kind.__mro__[1:] if not issubclass(base, mixed_in))


def _is_own(key: str) -> bool:
    return key in OWN_MARKS


def _marks_of(module: torch.nn.Module) -> list[str]:
    return [key for key in MODULE_MARKS if key in vars(module)]


def _places(model: torch.nn.Module) -> dict[str, tuple[torch.nn.Module, str]]:
    """Where each parameter and buffer is held, by canonical name, every name of a shared one."""
    found = {}
    for actual, name in canonical_names(model).items():
        path, _, key = actual.rpartition(".")
        module = model.get_submodule(path)
        if getattr(module, key).layout == torch.strided:  # sparse buffers are left alone
            found[name] = module, key
    return found


def _table(module: torch.nn.Module, key: str) -> dict[str, Any]:
    return module._parameters if key in module._parameters else module._buffers


def _swap_attributes(model: torch.nn.Module, into: Mapping[int, torch.Tensor]) -> None:
    """Exchange tensors that modules hold besides their tables: lists of weights, other names of a parameter."""

    def swapped(tensor: torch.Tensor) -> torch.Tensor:
        return into.get(id(tensor), tensor)

    for module in model.modules():
        for key, value in list(vars(module).items()):
            is_one = key not in _TABLES and isinstance(value, torch.Tensor | list | tuple)
            if is_one and any(id(leaf) in into for leaf in tree_leaves(value)):
                vars(module)[key] = tree_map_only(torch.Tensor, swapped, value)
