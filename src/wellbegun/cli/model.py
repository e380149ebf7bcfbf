"""The MODEL argument of every command: a factory of the user's, or a transformers configuration."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError, MissingExtraError, UnknownNameError

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
    """Import the factory that the user names; this is the one place where a command runs the user's code.

    Raises:
        ArgumentError: no such module or factory.
    """
    name, colon, factory = text.partition(":")
    if not colon or not name or not factory:
        raise ArgumentError(
            f"MODEL must be module:factory, for example my_models:build, or the path of a transformers config.json; "
            f"got {text!r}"
        )
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0] and error.name != name:
            raise
        raise ArgumentError(f"there is no module {name!r} here or among the installed ones") from None
    finally:
        sys.path.remove(os.getcwd())
    found: Callable[[], torch.nn.Module] | None = getattr(module, factory, None)
    if found is None or not callable(found):
        raise ArgumentError(f"module {name!r} has no function {factory!r}")
    return found


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
        raise ArgumentError(f"transformers {transformers.__version__} has no architecture {names[0]!r}")
    config = kinds[kind].from_dict({key: value for key, value in content.items() if key != "auto_map"})

    def build() -> torch.nn.Module:
        model: torch.nn.Module = architecture._from_config(config)  # type: ignore[no-untyped-call]
        return model.train(False)

    return build
