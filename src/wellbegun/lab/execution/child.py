"""What a worker process does: read a piece of work, do it, write the result; end when the input ends."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
from typing import Any

from wellbegun.lab.execution.processes import read, write


def main() -> None:
    """Serve the process at the other end of stdin and stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what ends
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the work prints must not stand between the answers
    while True:
        try:
            message = read(sys.stdin.buffer)
        except EOFError:
            return
        write(answers, pickle.dumps(_answer(message)))


def _answer(message: bytes) -> tuple[bool, Any]:
    """Whether the work succeeded, and its result or its error."""
    try:
        function, args, kwargs = pickle.loads(message)
        return True, function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  (whatever it is, the caller must hear of it)
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # noqa: BLE001  (an error that cannot travel is told in words)
            return False, RuntimeError(f"{type(error).__name__}: {error}")
        return False, error
