"""A transformers model with what its forward takes and what its configurations say."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch

from wellbegun.graph.stage import configurations


class Configured:
    """Knows the model's forward and configurations; subclasses have a method `_make_<name>` for each argument.

    Attributes:
        reading: how what the configuration leaves open is read; "" is the usual way.
        parameters: names of what the forward takes.
        required: those of them without a default.
        text: configuration of the text model, or the model's own.
        all: every configuration, the model's own first.
        batch: examples in a batch.
    """

    def __init__(self, model: torch.nn.Module, reading: str = "") -> None:
        self.model: Any = model
        self.reading = reading
        self.config: Any = vars(model)["config"]
        signature = inspect.signature(model.forward).parameters.values()
        named = [p for p in signature if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        self.parameters = [p.name for p in named]
        self.required = [p.name for p in named if p.default is p.empty]
        self.text: Any = self.config.get_text_config()
        inside = [value for value in vars(self.config).values() if hasattr(value, "to_dict")]
        self.all = list({id(c): c for c in (self.config, *inside, *configurations(model))}.values())
        self.sees = "pixel_values" in self.parameters and "input_ids" in self.parameters
        no_padding = "input_ids" in self.parameters and getattr(self.text, "pad_token_id", None) is None
        self.batch = 1 if no_padding or self.token("image") is not None else 2

    def methods(self) -> dict[str, Callable[[], Any]]:
        """What makes each argument that something is known about, by the argument's name."""
        return {name: getattr(self, f"_make_{name}") for name in self.parameters if hasattr(self, f"_make_{name}")}

    def field(self, *names: str, default: Any = None) -> Any:
        """The first field of these names that any configuration has, the model's own first."""
        found = (getattr(config, name, None) for name in names for config in self.all)
        return next((value for value in found if value is not None), default)

    def field_of(self, what: str, *names: str, default: Any = None) -> Any:
        """The same, but the configuration of a part ("vision", "audio") is asked first."""
        part = getattr(self.config, f"{what}_config", None)
        own = (getattr(part, name, None) for name in names)
        found = next((value for value in own if value is not None), None)
        return self.field(*names, default=default) if found is None else found

    def lacks(self, what: str) -> bool:
        """Whether the model could have a part ("vision", "audio"), and this one was built without."""
        return hasattr(self.config, f"{what}_config") and getattr(self.config, f"{what}_config") is None

    def layers_of(self, what: str) -> Iterator[torch.nn.Module]:
        """The layers of a part of the model in their order, or of the whole model if no part has its configuration."""
        wanted = getattr(self.config, f"{what}_config", None)
        parts = (m for m in self.model.modules() if wanted is not None and vars(m).get("config") is wanted)
        part: torch.nn.Module = next(parts, self.model)
        return (module for module in part.modules() if not list(module.children()))

    def token(self, what: str) -> int | None:
        """Number of the token that stands for an image or a sound in the text."""
        names = (f"{what}_token_id", f"{what}_token_index")
        found = (getattr(config, name, None) for config in self.all for name in names)
        return next((value for value in found if isinstance(value, int)), None)

    def on_meta(self, *shape: int) -> torch.Tensor:
        """A batch of data without values."""
        return torch.empty(self.batch, *shape, device="meta")
