"""The user's own functions by name, "module:function": the one place where a text makes the user's code run."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wellbegun.errors import ArgumentError, closest_names, join_names


def find_function(text: str, *, what: str = "MODEL", otherwise: str = "") -> Callable[..., Any]:
    """Import the function that a text names.

    >>> find_function("math:sqrt")(4.0)
    2.0

    Args:
        text: "module:function"; modules of the working folder are found too.
        what: what it is for, for the error.
        otherwise: what else the text could have been, for the error.

    Raises:
        ArgumentError: no such module or function, or importing it failed; says where in the user's code.
    """
    name, colon, function = text.partition(":")
    if not colon or not name or not function:
        example = f"{Path(name).stem}:build" if name.endswith(".py") else "my_models:build"
        raise ArgumentError(f"{what} must be module:factory, for example {example}{otherwise}; got {text!r}")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0] and error.name != name:
            raise ArgumentError(failed(f"importing {name!r}", error)) from error
        hint = f"; write {name[:-3]}:{function}, without .py" if name.endswith(".py") else ""
        raise ArgumentError(f"there is no module {name!r} here or among the installed ones{hint}") from None
    except Exception as error:
        raise ArgumentError(failed(f"importing {name!r}", error)) from error
    finally:
        sys.path.remove(os.getcwd())
    found: Callable[..., Any] | None = getattr(module, function, None)
    if found is None or not callable(found):
        own = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        closest = closest_names(function, own)
        offer = f"; did you mean {join_names(closest)}?" if closest else ""
        raise ArgumentError(f"module {name!r} has no function {function!r}{offer}")
    return found


def failed(what: str, error: Exception) -> str:
    """Say what failed, and where in the user's code: the innermost place that is neither Python's nor ours."""
    ours = Path(__file__).parent
    places = [
        f"{frame.filename}, line {frame.lineno}, in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and ours not in Path(frame.filename).parents
    ]
    where = f"\n  at {places[-1]}" if places else ""
    return f"{what} failed: {type(error).__name__}: {error}{where}"
