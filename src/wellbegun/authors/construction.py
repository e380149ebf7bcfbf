"""Recording what a constructor does: wb.skeleton, and factories."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import check_module, random_states_kept, require_torch

if TYPE_CHECKING:
    import torch

    from wellbegun.authors.authored import Authored, Authorship
    from wellbegun.authors.origin import Origin
    from wellbegun.authors.recorder import Recorder

ATTRIBUTE = "_wellbegun_authored"
"""Under which a module keeps what was recorded of its own tensors while it was built."""


@contextmanager
def skeleton() -> Iterator[None]:
    """Build models inside without memory for their parameters, and record how they would have been initialised.

    >>> import torch
    >>> with skeleton():
    ...     model = torch.nn.Linear(8192, 8192)
    >>> model.weight.device.type, recorded(model)["weight"].law
    ('meta', Uniform(low=-0.011048543, high=0.011048543))

    Inside, constructors run as they always do, on the CPU, but random numbers are written down and not drawn. At the
    end parameters are on meta, buffers hold their numbers, and `wb.plan(model, ..., recipe="author")` knows the laws.
    No random state is changed.
    """
    require_torch("wb.skeleton()")
    from wellbegun.authors.recorder import Recorder

    with random_states_kept(), _Registrations() as registered:
        recorder = Recorder(registered.seed)
        with recorder:
            yield
        registered.finish(recorder)


def record_construction(factory: Callable[[], torch.nn.Module], seed: int = 0) -> tuple[torch.nn.Module, Authored]:
    """Call a factory and return its model, with parameters on meta, and what its code gives each tensor.

    >>> import torch
    >>> model, authored = record_construction(lambda: torch.nn.Embedding(100, 8, padding_idx=0))
    >>> authored["weight"].law
    Patched(base=Normal(std=1.0), patches=((((0, 1),), Constant(value=0.0)),))

    Args:
        factory: a function without arguments that builds a model.
        seed: of the numbers of tensors that no law describes.

    Raises:
        ArgumentError: the factory returns no torch.nn.Module.
    """
    require_torch("recording a construction")
    from wellbegun.authors.authored import Authored
    from wellbegun.authors.recorder import Recorder

    with random_states_kept(), _Registrations(seed) as registered:
        recorder = Recorder(seed)
        with recorder:
            model = check_module(factory(), "recording a construction")
        registered.finish(recorder, model)
    found = recorded(model)
    if found is None and _tensors(model):
        raise ArgumentError(f"the factory built nothing: it returns a {type(model).__name__} that was there before")
    return model, found or Authored({})


def recorded(model: torch.nn.Module) -> Authored | None:
    """Return what was recorded while a model, or parts of it, were built; None if nothing was."""
    from wellbegun.authors.authored import Authored

    found: dict[str, Any] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        part = vars(module).get(ATTRIBUTE)
        if part is not None:
            found |= {f"{path}.{name}" if path else name: authorship for name, authorship in part.items()}
    return Authored(found) if found else None


class _Registrations:
    """Which modules were built, and where their parameters and buffers were registered, in this thread."""

    def __init__(self, seed: int = 0) -> None:
        self.seed, self.thread = seed, threading.get_ident()
        self.modules: dict[int, torch.nn.Module] = {}
        self.children: set[int] = set()
        self.tensors: dict[int, torch.Tensor] = {}
        self.places: dict[int, Origin] = {}
        self.handles: list[Any] = []

    def __enter__(self) -> _Registrations:
        from torch.nn.modules import module

        self.handles = [
            module.register_module_parameter_registration_hook(self._tensor),
            module.register_module_buffer_registration_hook(self._tensor),
            module.register_module_module_registration_hook(self._module),
        ]
        return self

    def __exit__(self, *raised: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _tensor(self, module: torch.nn.Module, name: str, tensor: torch.Tensor | None) -> None:  # noqa: ARG002
        from wellbegun.authors.origin import Origin

        if threading.get_ident() == self.thread:
            self.modules[id(module)] = module
            if tensor is not None:
                self.tensors[id(tensor)] = tensor
                self.places.setdefault(id(tensor), Origin.here())

    def _module(self, module: torch.nn.Module, name: str, child: torch.nn.Module | None) -> None:  # noqa: ARG002
        if threading.get_ident() == self.thread:
            self.modules[id(module)] = module
            if child is not None:
                self.modules[id(child)] = child
                self.children.add(id(child))

    def finish(self, recorder: Recorder, model: torch.nn.Module | None = None) -> None:
        """Attach what was recorded to each model, put parameters on meta and give buffers their numbers."""
        from wellbegun.authors.authored import Authored
        from wellbegun.authors.judge import judge

        roots = [module for key, module in self.modules.items() if key not in self.children]
        if model is not None:
            roots = [*(root for root in roots if root is not model), model]
        final: dict[int, torch.Tensor] = {}
        for root in roots:
            tensors = _tensors(root)
            built = {name for name, tensor in tensors.items() if self._is_built(recorder, tensor)}
            authored = judge(recorder, tensors, self.places, built)
            for path, module in root.named_modules(remove_duplicate=False):
                own = [*module._parameters, *module._buffers]
                named = {name: f"{path}.{name}" if path else name for name in own}
                if any(full in built for full in named.values()):  # else it was there before
                    vars(module)[ATTRIBUTE] = Authored({n: authored[f] for n, f in named.items() if f in authored})
            for name, tensor in tensors.items():
                if name in built:
                    final[id(tensor)] = _final(recorder, name, tensor, authored[name])
        for module in {id(module): module for root in roots for module in root.modules()}.values():
            for table in (module._parameters, module._buffers):
                for key, held in table.items():
                    if held is not None and id(held) in final:
                        table[key] = final[id(held)]  # type: ignore[assignment]

    def _is_built(self, recorder: Recorder, tensor: torch.Tensor) -> bool:
        return id(tensor) in self.tensors or recorder.memory(tensor) is not None or recorder.is_copy(tensor)


def _final(recorder: Recorder, name: str, tensor: torch.Tensor, authorship: Authorship) -> torch.Tensor:
    """A parameter on meta; a buffer with the numbers that a plan of this seed gives it."""
    import torch

    from wellbegun.authors.tape import write_law
    from wellbegun.sampler import Stream

    if isinstance(tensor, torch.nn.Parameter):
        made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
        parameter = torch.nn.Parameter(made, requires_grad=tensor.requires_grad)
        parameter.__dict__.update(tensor.__dict__)
        return parameter
    if recorder.memory(tensor) is not None and authorship.law is not None and not tensor.is_meta:
        write_law(tensor, authorship.law, Stream.of(recorder.seed, name))
    return tensor


def _tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter and buffer by every name."""
    found: dict[str, torch.Tensor] = dict(model.named_parameters(remove_duplicate=False))
    return found | dict(model.named_buffers(remove_duplicate=False))
