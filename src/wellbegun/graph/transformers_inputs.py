"""Example inputs of a transformers model, made from its forward's parameters and its configuration's fields."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch

from wellbegun.errors import TraceError
from wellbegun.graph.fallback import LIMIT, copied, harmless, real_inputs
from wellbegun.graph.pretrained.pictures import Pictures
from wellbegun.graph.pretrained.sounds import Sounds
from wellbegun.graph.pretrained.text import Text
from wellbegun.graph.stage import staged
from wellbegun.graph.whole_numbers import WholeNumbers, on_meta_unless_whole


def is_pretrained(model: torch.nn.Module) -> bool:
    """Return whether this is a model of transformers with a configuration."""
    import sys

    kind = getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)
    return kind is not None and isinstance(model, kind)


def pretrained_inputs(model: torch.nn.Module) -> Iterator[dict[str, Any]]:
    """Yield keyword arguments for one forward pass of a transformers model: the usual shapes, then other readings.

    Whole numbers are real tensors (masks are made from them), everything else is on meta.

    Raises:
        TraceError: a required argument of the forward that nothing is known about; it is named.
    """
    seen = []
    for reading, names in _READINGS.items():
        maker = _Maker(model, reading)
        if names and not set(names) & set(maker.parameters):
            continue
        made = maker.all_arguments()
        missing = [name for name in maker.required if name not in made]
        if not made or missing:
            usual = getattr(model, "dummy_inputs", None)
            if isinstance(usual, dict) and set(maker.required) <= set(usual) <= set(maker.parameters):
                made, missing = usual, []
        if missing and reading:
            continue
        if missing:
            raise TraceError(
                f"the configuration of {type(model).__name__} does not say what {' and '.join(missing)} of its forward "
                f"shall be; pass inputs={{{', '.join(f'{name!r}: ...' for name in maker.required)}}}"
            )
        form = {name: getattr(value, "shape", value) for name, value in made.items()}
        if form not in seen:
            seen.append(form)
            yield made


def text_alone(model: torch.nn.Module) -> Iterator[dict[str, Any]]:
    """Yield the text alone for a model that takes pictures or sounds beside it, for where those cannot be made.

    What only pictures and sounds would use is then not used, and planned by its type.
    """
    maker = _Maker(model, _TEXT_ALONE)
    others = {*_PICTURES, *_SOUNDS} & set(maker.parameters)
    made = maker.all_arguments() if others and "input_ids" in maker.parameters else {}
    if made and set(maker.required) <= set(made):
        yield made


_TEXT_ALONE = "text alone"
_PICTURES, _SOUNDS = ("pixel_values",), ("input_values", "input_features")
_READINGS: dict[str, tuple[str, ...]] = {
    "": (),
    "sizes of images": ("image_sizes",),
    "pictures as patches": _PICTURES,
    "one image each": _PICTURES,
    "two images each": _PICTURES,
    "large images": _PICTURES,
    "channels": _SOUNDS,
    "plain bins": ("input_features",),
    "no masks of frames": ("input_features",),
    "square patches": ("image_grid_thw", "grid_thw"),
    "batch of patches": ("image_grid_thw", "grid_thw"),
    "batch of square patches": ("image_grid_thw", "grid_thw"),
    "one series": ("past_values",),
    "no mask of pixels": ("pixel_attention_mask",),
    "mask of tokens": ("attention_mask",),
}
"""Readings of what a configuration says, in the order in which they are tried, and the arguments they are about."""

_OF_TEXT = ("input_ids", "decoder_input_ids", "bbox", "attention_mask")


class _Maker(Text, Pictures, Sounds):
    """Makes one argument after the other, and puts the tokens of pictures and sounds into the text."""

    def all_arguments(self) -> dict[str, Any]:
        """The arguments that the configuration says something about, by name."""
        alone = self.reading == _TEXT_ALONE
        wanted = {name: method for name, method in self.methods().items() if not alone or name in _OF_TEXT}
        if self.reading == "no mask of pixels":
            wanted.pop("pixel_attention_mask", None)
        made = {name: value for name, method in wanted.items() if (value := method()) is not None}
        made |= self.frame_masks(made)
        self._add_placeholders(made)
        masked = self.reading in ("mask of tokens", _TEXT_ALONE) and "attention_mask" in self.parameters
        if masked and "input_ids" in made:
            made["attention_mask"] = torch.ones_like(made["input_ids"])
        return made

    def _add_placeholders(self, made: dict[str, Any]) -> None:
        """Put as many placeholder tokens into the text as an image or a sound becomes vectors."""
        ids = made.get("input_ids")
        if ids is None:
            return
        for what, present in (("image", "pixel_values"), ("audio", "input_features")):
            token = self.token(what)
            if token is None or present not in made:
                continue
            count = self._vectors(what, made)
            marks = [self.token(f"{prefix}_start") for prefix in ("vision", what)]
            begin = [mark for mark in marks if mark is not None][:1]
            middle = torch.tensor([*begin, *[token] * (count // len(ids))]).repeat(len(ids), 1)
            made["input_ids"] = ids = torch.cat([ids[:, :2], middle, ids[:, 2:]], dim=1)
        image = self.token("image")
        for name in ("mm_token_type_ids", "token_type_ids"):
            if name in self.parameters and image is not None:
                made[name] = (ids == image).long()

    def _vectors(self, what: str, made: dict[str, Any]) -> int:
        """How many vectors of the text's width the images or sounds of a batch become: asked of the model."""
        method = self._features(what)
        if method is not None:
            taken = {name: made[name] for name in inspect.signature(method).parameters if name in made}
            parameters = dict(self.model.named_parameters(remove_duplicate=False))
            buffers = dict(self.model.named_buffers(remove_duplicate=False))
            metas = {name: on_meta_unless_whole(tensor) for name, tensor in {**parameters, **buffers}.items()}
            metas |= {name: torch.empty_like(tensor, device="meta") for name, tensor in parameters.items()}
            try:
                with staged(self.model, metas, on_meta_unless_whole), WholeNumbers():
                    return _rows(method(**taken))
            except Exception:  # noqa: BLE001 - some of these methods need values
                pass
            if 4 * sum(tensor.numel() for tensor in parameters.values()) <= LIMIT:
                reals = {name: harmless(tensor, keep=False) for name, tensor in parameters.items()}
                reals |= {name: harmless(tensor, keep=True) for name, tensor in buffers.items()}
                taken = {name: real_inputs(value) for name, value in taken.items()}
                try:
                    with staged(self.model, reals, copied):
                        return _rows(method(**taken))
                except Exception:  # noqa: BLE001 - then the configuration has to say it
                    pass
        number = self.field(f"{what}_seq_length", f"mm_tokens_per_{what}", "num_query_tokens")
        if isinstance(number, int):
            return number * self.batch
        height, _ = self._image_size()
        return int((height // self.field("patch_size", default=height)) ** 2) * self.batch

    def _features(self, what: str) -> Any:
        """The method that turns images or sounds into vectors: of the model, or of the one inside that it asks."""
        owner, method = self.model, None
        while owner is not None:
            found = getattr(owner, f"get_{what}_features", None)
            method = found if found is not None else method
            if found is not None and set(inspect.signature(found).parameters) - {"args", "kwargs"}:
                return found
            owner = next((getattr(owner, key) for key in ("model", "vlm") if hasattr(owner, key)), None)
        return method


def _rows(result: Any) -> int:
    """How many vectors the features are: a tensor, several, or the pooled part of an output of transformers."""
    if hasattr(result, "pooler_output"):
        result = result.pooler_output
    leaves = torch.utils._pytree.tree_leaves(result)
    return sum(leaf.numel() // leaf.shape[-1] for leaf in leaves if isinstance(leaf, torch.Tensor))
