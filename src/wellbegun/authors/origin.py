"""Where in the author's code something was written: read off the stack."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

_HERE = str(Path(__file__).parents[1])


@dataclass(frozen=True)
class Origin:
    """The function that wrote a value, and the line of the model's code that led there.

    Attributes:
        function: innermost function that is no initialiser itself: "nn.Linear.reset_parameters".
        place: "GPT2Attention.__init__ (modeling_gpt2.py:120)", "" if the function is the model's own or none is known.
        line: file and line of the function, "modeling_gpt2.py:120".
        before: what was overwritten.
    """

    function: str
    place: str = ""
    line: str = ""
    before: str = ""

    @classmethod
    def here(cls) -> Origin:
        """Read the stack."""
        frame: FrameType | None = sys._getframe(1)
        function, line = "", ""
        while frame is not None:
            file, code = frame.f_code.co_filename, frame.f_code
            if _is_torch_layer(file):
                function = function or _name(frame)
            elif not _is_machinery(file) and not code.co_name.startswith("<"):
                where = f"{Path(file).name}:{frame.f_lineno}"
                if not function:
                    return cls(_name(frame), "", where)
                return cls(function, f"{_name(frame)} ({where})", line)
            frame = frame.f_back
        return cls(function or "code at the top level")

    def over(self, before: Origin | None) -> Origin:
        """The same, saying what it overwrote."""
        if before is None or before.function == self.function:
            return replace(self, before=before.before) if before is not None else self
        return replace(self, before=before.function)

    def __str__(self) -> str:
        if self.place:
            return f"{self.function} for {self.place}"
        return f"{self.function} ({self.line})" if self.line else self.function


def _name(frame: FrameType) -> str:
    """Qualified name, with the class of the object and not the one that the method is inherited from."""
    name = frame.f_code.co_qualname.replace(".<locals>", "")
    owner = frame.f_locals.get("self")
    if owner is None or "." not in name or isinstance(owner, type):
        return name
    home = "nn." if type(owner).__module__.startswith("torch.nn.") else ""
    return f"{home}{type(owner).__name__}.{frame.f_code.co_name}"


def _is_torch_layer(file: str) -> bool:
    return "/torch/nn/modules/" in file and not file.endswith("/module.py")


def _is_machinery(file: str) -> bool:
    return (
        "/torch/" in file
        or file.startswith((_HERE, "<"))
        or file.endswith(("/transformers/initialization.py", "/copy.py", "/contextlib.py"))
    )
