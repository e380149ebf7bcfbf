"""Code of the user's that a command is pointed at by module:factory, and what is said when it fails."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wellbegun.errors import ArgumentError, closest_names, join_names

_HERE = Path(__file__).parent


def import_factory(text: str, *, argument: str, example: str, otherwise: str) -> Callable[..., Any]:
    """Import the function that the user names; this is the one place where a command runs the user's code.

    >>> import_factory("math:sqrt", argument="MODEL", example="my_models:build", otherwise="a file")(4.0)
    2.0

    Args:
        text: module:factory.
        argument, example, otherwise: what the command calls it, how one may look, and what else is allowed.

    Raises:
        ArgumentError: no such module or factory.
    """
    name, colon, factory = text.partition(":")
    if not colon or not name or not factory:
        example = f"{Path(name).stem}:{example.partition(':')[2]}" if name.endswith(".py") else example
        raise ArgumentError(f"{argument} must be module:factory, for example {example}, or {otherwise}; got {text!r}")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0] and error.name != name:
            raise ArgumentError(told_failure(f"importing {name!r}", error)) from error
        hint = f"; write {name[:-3]}:{factory}, without .py" if name.endswith(".py") else ""
        raise ArgumentError(f"there is no module {name!r} here or among the installed ones{hint}") from None
    except Exception as error:
        raise ArgumentError(told_failure(f"importing {name!r}", error)) from error
    finally:
        sys.path.remove(os.getcwd())
    found: Callable[..., Any] | None = getattr(module, factory, None)
    if found is None or not callable(found):
        own = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        closest = closest_names(factory, own)
        offer = f"; did you mean {join_names(closest)}?" if closest else ""
        raise ArgumentError(f"module {name!r} has no function {factory!r}{offer}")
    return found


def told_failure(what: str, error: Exception) -> str:
    """Say what failed, and where in the user's code: the innermost place that is neither Python's nor ours."""
    places = [
        f"{frame.filename}, line {frame.lineno}, in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and _HERE not in Path(frame.filename).parents
    ]
    where = f"\n  at {places[-1]}" if places else ""
    return f"{what} failed: {type(error).__name__}: {error}{where}"
