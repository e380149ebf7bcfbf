"""What lies in a checkpoint's folder already: finished files of this checkpoint, or those of another."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from wellbegun.errors import OutputError
from wellbegun.targets.checkpoint.partial import partial_path, sync_folder
from wellbegun.targets.checkpoint.shards import INDEX, Shard, is_weights


class Folder:
    """The folder that a checkpoint goes to.

    A file belongs to this checkpoint if its header does, to the last byte: the header names the plan's hash, the seed,
    every tensor, its type, its shape and its place.

    Attributes:
        finished: names of this checkpoint's files that are whole.
        foreign: names of files of another checkpoint, of parts of it too.
    """

    def __init__(self, path: Path, shards: Iterable[Shard], index: str | None) -> None:
        self.path = path
        by_name = {shard.name: shard for shard in shards}
        self._begun = {partial_path(path / name).name for name in by_name}
        self.finished: set[str] = set()
        self.foreign: list[str] = []
        for name in sorted(there.name for there in path.iterdir() if is_weights(there.name)) if path.is_dir() else ():
            there = path / name
            if name == INDEX:
                if index is None or there.read_text("utf-8", errors="replace") != index:
                    self.foreign.append(name)
                continue
            is_partial = name.startswith(".")
            shard = by_name.get(name[1:].removesuffix(".part") if is_partial else name)
            if shard is None or not _begins_alike(there, shard.header, is_partial):
                self.foreign.append(name)
            elif not is_partial and there.stat().st_size == shard.size:
                self.finished.add(name)
            elif not is_partial:
                self.foreign.append(name)

    def check(self, mine: Iterable[Shard], *, resume: bool, overwrite: bool) -> None:
        """Refuse what would mix two checkpoints, or write again what is there.

        Raises:
            OutputError: files of another checkpoint, or finished ones of this one that nobody wants to keep or replace.
        """
        if overwrite:
            return
        if self.foreign:
            shown = ", ".join(self.foreign[:3]) + (" ..." if len(self.foreign) > 3 else "")
            raise OutputError(
                f"{str(self.path)!r} holds files of another checkpoint ({shown}: another plan, seed, dtype or size of "
                f"files); choose another folder, go on with the arguments it was begun with, or replace it with "
                f"overwrite=True (--force)"
            )
        done = [shard.name for shard in mine if shard.name in self.finished]
        begun = [shard.name for shard in mine if partial_path(self.path / shard.name).exists()]
        if (done or begun) and not resume:
            raise OutputError(
                f"{str(self.path)!r} holds this checkpoint already, or a part of it ({(done or begun)[0]}); go on with "
                f"resume=True (--resume), or replace it with overwrite=True (--force)"
            )

    def check_room(self, needed: int) -> None:
        """Refuse to begin what the disk has no room for.

        Raises:
            OutputError: with how much is needed and how much there is.
        """
        there = self.path if self.path.is_dir() else self.path.parent
        if not there.is_dir():  # `make` says so
            return
        begun = sum(path.stat().st_blocks * 512 for path in self.path.glob(".*.part")) if self.path.is_dir() else 0
        free = shutil.disk_usage(there).free + begun
        if needed > free:
            raise OutputError(
                f"the checkpoint needs {needed / 1e9:,.2f} GB in {str(self.path)!r}, and {free / 1e9:,.2f} GB are "
                "free; nothing was written. Make room, choose another folder or a smaller dtype, or write a part there"
            )

    def make(self) -> None:
        """Make the folder if it is not there.

        Raises:
            OutputError: its parent does not exist or cannot be written, or it is a file.
        """
        try:
            if not self.path.is_dir():
                self.path.mkdir()
                sync_folder(self.path.absolute().parent)
        except FileExistsError:
            raise OutputError(f"{str(self.path)!r} is a file; name a folder") from None
        except OSError as error:
            raise OutputError(f"cannot make the folder {str(self.path)!r}: {error.strerror}") from None

    def clear(self) -> None:
        """Remove the files of another checkpoint, its index first, so that nobody loads a mixture.

        Files under temporary names that this checkpoint uses stay: they are written over.
        """
        for name in sorted(self.foreign, key=lambda name: name != INDEX):
            if name not in self._begun:
                (self.path / name).unlink(missing_ok=True)
        self.foreign = []


def _begins_alike(path: Path, header: bytes, is_partial: bool) -> bool:
    with path.open("rb") as file:
        found = file.read(len(header))
    return header.startswith(found) if is_partial else found == header
