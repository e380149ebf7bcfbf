"""The MODEL argument of every command: a factory of the user's, or a transformers configuration."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
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
        example = f"{Path(name).stem}:build" if name.endswith(".py") else "my_models:build"
        raise ArgumentError(
            f"MODEL must be module:factory, for example {example}, or the path of a transformers config.json; "
            f"got {text!r}"
        )
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0] and error.name != name:
            raise ArgumentError(_failed(f"importing {name!r}", error)) from error
        hint = f"; write {name[:-3]}:{factory}, without .py" if name.endswith(".py") else ""
        raise ArgumentError(f"there is no module {name!r} here or among the installed ones{hint}") from None
    except Exception as error:
        raise ArgumentError(_failed(f"importing {name!r}", error)) from error
    finally:
        sys.path.remove(os.getcwd())
    found: Callable[[], torch.nn.Module] | None = getattr(module, factory, None)
    if found is None or not callable(found):
        own = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        closest = closest_names(factory, own)
        offer = f"; did you mean {join_names(closest)}?" if closest else ""
        raise ArgumentError(f"module {name!r} has no function {factory!r}{offer}")
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
            raise ArgumentError(_failed(f"building the model by {text}", error)) from error
        if not _is_model(made):
            raise ArgumentError(f"{text} must return a torch.nn.Module, got {type(made).__name__}")
        return made

    return build


def _is_model(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _failed(what: str, error: Exception) -> str:
    """Say what failed, and where in the user's code: the innermost place that is neither Python's nor ours."""
    places = [
        f"{frame.filename}, line {frame.lineno}, in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and Path(frame.filename).parent != Path(__file__).parent
    ]
    where = f"\n  at {places[-1]}" if places else ""
    return f"{what} failed: {type(error).__name__}: {error}{where}"


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
