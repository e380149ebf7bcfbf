"""How kernels are compiled: without the interpreter's lock, and kept on disk where that is possible."""

from __future__ import annotations

import functools
import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numba

Function = Callable[..., Any]
OPTIONS: Any = {"nogil": True, "error_model": "numpy"}

_NUMBA: Any = numba.config
_CHANGING = threading.Lock()


def compiled(function: Function) -> Function:
    """Compile a kernel on its first call and keep the result for later processes."""
    folder = cache_folder()
    if folder is None:
        return cast("Function", numba.njit(**OPTIONS)(function))
    with _numba_keeps_its_cache_in(folder):
        return cast("Function", numba.njit(**OPTIONS, cache=True)(function))


def inlined(function: Function) -> Function:
    """Compile a step that LLVM must inline: a call left in the loop over lanes stops its vectorisation."""
    return cast("Function", numba.njit(**OPTIONS, forceinline=True)(function))


@functools.cache
def cache_folder() -> Path | None:
    """Return the folder for these sources' kernels, or None where none can be written: then they live in memory.

    Numba compares a cached kernel with the file of the function itself, and would go on using it after a change to a
    step in another file: wrong bits, in silence. So the folder carries a digest of every source that a kernel is made
    of. It lies in NUMBA_CACHE_DIR, beside the sources, or in the user's cache, whichever can be written first.
    """
    import platformdirs

    own = Path(__file__).parent
    beside = Path(_NUMBA.CACHE_DIR) if _NUMBA.CACHE_DIR else own / "__pycache__"
    for base in (beside, platformdirs.user_cache_path("wellbegun")):
        folder = base / f"kernels-{_digest(own)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


def _digest(own: Path) -> str:
    sources = [*own.glob("*.py"), own.parent / "coefficients.py", own.parent / "layout.py"]
    content = b"".join(path.name.encode() + b"\0" + path.read_bytes() for path in sorted(sources))
    return hashlib.sha256(content).hexdigest()[:16]


@contextmanager
def _numba_keeps_its_cache_in(folder: Path) -> Iterator[None]:
    """Point Numba's setting, which it reads where a function is decorated, at a folder."""
    with _CHANGING:
        before = _NUMBA.CACHE_DIR
        _NUMBA.CACHE_DIR = str(folder)
        try:
            yield
        finally:
            _NUMBA.CACHE_DIR = before
