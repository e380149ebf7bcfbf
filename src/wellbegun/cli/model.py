"""The MODEL argument of every command: a factory of the user's, or a transformers configuration."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellbegun.errors import (
    ArgumentError,
    MissingExtraError,
    UnknownNameError,
    WellbegunError,
    closest_names,
    join_names,
)
from wellbegun.user_code import import_factory, told_failure

if TYPE_CHECKING:
    import torch

MODEL_HELP = "module:factory, a function without arguments that builds the model, or a transformers config.json."


def load_model(text: str) -> tuple[Callable[[], torch.nn.Module], bool]:
    """Return what builds the model that the user names, and whether it is one of transformers.

    Raises:
        ArgumentError: no such module, factory, file or architecture.
    """
    path = Path(text)
    if path.name == "config.json" or path.suffix == ".json" or (path.is_dir() and ":" not in text):
        return load_config(path / "config.json" if path.is_dir() else path), True
    return load_factory(text), False


def load_factory(text: str) -> Callable[[], torch.nn.Module]:
    """Import the factory that the user names.

    Raises:
        ArgumentError: no such module or factory.
    """
    found: Callable[[], torch.nn.Module] = import_factory(
        text, argument="MODEL", example="my_models:build", otherwise="the path of a transformers config.json"
    )
    return found if _is_model(found) else guarded(found, text)


def guarded(factory: Callable[[], torch.nn.Module], text: str) -> Callable[[], torch.nn.Module]:
    """Return the factory with its own errors told in two lines, and its result checked.

    Args:
        factory: builds the model.
        text: what the user calls it.
    """

    def build() -> torch.nn.Module:
        try:
            made = factory()
        except WellbegunError:
            raise
        except Exception as error:
            raise ArgumentError(told_failure(f"building the model by {text}", error)) from error
        if not _is_model(made):
            raise ArgumentError(f"{text} must return a torch.nn.Module, got {type(made).__name__}")
        return made

    return build


def _is_model(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def read_inputs(text: str) -> str | dict[str, str] | None:
    """Return what `wb.plan` takes for the text of --input: one spec, several by name, or None.

    >>> read_inputs("vector:64"), read_inputs("image=image:3x8x8,text=tokens:16"), read_inputs("")
    ('vector:64', {'image': 'image:3x8x8', 'text': 'tokens:16'}, None)
    """
    if "=" not in text:
        return text or None
    pairs = [part.partition("=") for part in text.split(",")]
    return {name.strip(): spec.strip() for name, _, spec in pairs}


def load_config(path: Path) -> Callable[[], torch.nn.Module]:
    """Return what builds the model of a transformers configuration.

    Only classes that transformers itself brings are used; code that a model's folder holds is never run.

    Raises:
        ArgumentError: the file is no configuration, or names a model or architecture that transformers does not have.
        MissingExtraError: transformers is not installed.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ArgumentError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except ValueError as error:
        raise ArgumentError(f"{str(path)!r} is not JSON: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        raise ArgumentError(f"{str(path)!r} is no transformers configuration: it has no model_type")
    try:
        import transformers
    except ModuleNotFoundError:
        raise MissingExtraError("transformers", "transformers", "reading a config.json") from None
    kinds: Any = transformers.CONFIG_MAPPING
    kind, own_code = content["model_type"], "auto_map" in content
    if kind not in kinds:
        hint = "; its own code would be needed, and wellbegun runs no code from a model's folder" if own_code else ""
        raise UnknownNameError(f"model_type of transformers {transformers.__version__}", kind + hint, kinds.keys())
    names = content.get("architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise ArgumentError(
            f'{str(path)!r} names no architecture; add for example "architectures": ["GPT2LMHeadModel"]'
        )
    architecture = getattr(transformers, names[0], None)
    if not (isinstance(architecture, type) and issubclass(architecture, transformers.PreTrainedModel)):
        closest = closest_names(names[0], [name for name in dir(transformers) if "For" in name or name[-5:] == "Model"])
        offer = f"; did you mean {join_names(closest)}?" if closest else ""
        raise ArgumentError(f"transformers {transformers.__version__} has no architecture {names[0]!r}{offer}")
    config = kinds[kind].from_dict({key: value for key, value in content.items() if key != "auto_map"})

    def build() -> torch.nn.Module:
        model: torch.nn.Module = architecture._from_config(config)  # type: ignore[no-untyped-call]
        return model.train(False)

    return guarded(build, str(path))
