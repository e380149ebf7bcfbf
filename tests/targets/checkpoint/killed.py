"""A process that writes a checkpoint again and again, and is killed in the middle of it, at once and without notice.

    python killed.py FOLDER POINT...

For each point a child is forked that writes (or goes on with) FOLDER/POINT. It kills itself with SIGKILL inside of a
write: after some bytes of one of its pieces are in the file. A point is written as FILE:BYTES, the number of the file
and the bytes of it that are there when the child dies. Forked children begin at once, which processes do not.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from wellbegun.targets.checkpoint.partial import PartialFile
from wellbegun.targets.checkpoint.write import write_shards

sys.path.insert(0, str(Path(__file__).parent))

from plans import plain, shards_of

MOST, CHUNK = 500_000, 16_384


class Dying(PartialFile):
    """Writes up to the point of death."""

    file, stop = 0, 0
    number = 0

    def __init__(self, target: Path, chunk: int) -> None:
        super().__init__(target, chunk)
        Dying.number += 1

    def put(self, data: object, position: int) -> int:
        """Write, or write a part and die."""
        if Dying.number == Dying.file and position + len(data) > Dying.stop:
            os.pwrite(os.open(self.path, os.O_WRONLY), data[: max(Dying.stop - position, 0)], position)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().put(data, position)


def main() -> None:
    plan = plain()
    shards = shards_of(plan, MOST)
    import wellbegun.targets.checkpoint.write as module

    module.PartialFile = Dying
    for point in sys.argv[2:]:
        child = os.fork()
        if child == 0:
            Dying.file, Dying.stop = map(int, point.split(":"))
            write_shards(plan, Path(sys.argv[1]) / point, shards, shards, True, False, chunk=CHUNK)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(point, -os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
