"""Interrupted checkpoints are finished to the same bytes; other people's files are not mixed in."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import wellbegun as wb
from wellbegun.errors import ArgumentError, OutputError
from wellbegun.targets.checkpoint.partial import PartialFile, partial_path
from wellbegun.targets.checkpoint.write import write_shards

from .killed import CHUNK, MOST
from .plans import file_names, names, plain, shards_of, sums

HERE = Path(__file__).parent
POINTS = 100


def kill_points(count: int, seed: int) -> list[str]:
    """Random places: any byte of any file, the first and the last among them."""
    shards, pick = shards_of(plain(), MOST), random.Random(seed)
    found = ["1:0", f"{len(shards)}:{shards[-1].size - 1}"]
    while len(found) < count:
        number = pick.randrange(len(shards))
        found.append(f"{number + 1}:{pick.randrange(shards[number].size)}")
    return found


def kill_and_go_on(folder: Path, points: list[str]) -> None:
    plan, whole = plain(), folder / "whole"
    shards = shards_of(plan, MOST)
    write_shards(plan, whole, shards, shards, False, False)
    expected = sums(whole)
    command = [sys.executable, str(HERE / "killed.py"), str(folder), *points]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [word for point in points for word in (point, str(signal.SIGKILL.value))]
    for point in points:
        place = folder / point
        number, size = map(int, point.split(":"))
        finished = [name for name in names(place) if not name.startswith(".")]
        assert finished == file_names(shards[: number - 1]), point
        assert partial_path(place / shards[number - 1].name).stat().st_size == size
        before = {name: (place / name).stat() for name in finished}
        skipped, written = write_shards(plan, place, shards, shards, True, False, chunk=CHUNK)
        assert skipped == finished
        assert written == sum(shard.size for shard in shards if shard.name not in finished)
        for name, old in before.items():
            new = (place / name).stat()
            assert (new.st_ino, new.st_mtime_ns) == (old.st_ino, old.st_mtime_ns), f"{name} was written again"
        assert sums(place) == expected, point


def test_killed_and_gone_on_with(tmp_path: Path) -> None:
    kill_and_go_on(tmp_path, kill_points(8, seed=1))


@pytest.mark.slow
def test_killed_at_a_hundred_places(tmp_path: Path) -> None:
    kill_and_go_on(tmp_path, kill_points(POINTS, seed=2))


def test_killed_from_outside_at_any_time(tmp_path: Path) -> None:
    """The public function in a process of its own, killed after a random time, until it gets through."""
    plan = plain(tensors=40, rows=3000)
    plan.save(tmp_path / "plan.json")
    script = (
        "import sys, wellbegun as wb\n"
        "print('ready', flush=True)\n"
        "wb.write_checkpoint(wb.load_plan(sys.argv[1]), sys.argv[2], max_shard_bytes='6MB', resume=True)\n"
    )
    pick, kills = random.Random(3), 0
    for _ in range(4):
        command = [sys.executable, "-c", script, str(tmp_path / "plan.json"), str(tmp_path / "out")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(pick.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills
    wb.write_checkpoint(plan, tmp_path / "out", max_shard_bytes="6MB", resume=True)
    wb.write_checkpoint(plan, tmp_path / "whole", max_shard_bytes="6MB")
    assert sums(tmp_path / "out") == sums(tmp_path / "whole")


def test_what_lies_there_is_compared_and_not_trusted(tmp_path: Path) -> None:
    plan = plain()
    shards = shards_of(plan, MOST)
    write_shards(plan, tmp_path / "whole", shards, shards, False, False)
    folder = tmp_path / "out"
    folder.mkdir()
    content = bytearray((tmp_path / "whole" / shards[0].name).read_bytes())
    content[3 * CHUNK + 5] ^= 1  # as if the disk had lost a write
    partial_path(folder / shards[0].name).write_bytes(content + b"and more than there should be")
    write_shards(plan, folder, shards, shards, True, False, chunk=CHUNK)
    assert sums(folder) == sums(tmp_path / "whole")


def test_resuming_what_is_finished_writes_nothing(tmp_path: Path) -> None:
    first = wb.write_checkpoint(plain(), tmp_path / "out", max_shard_bytes=MOST)
    stats = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in first.files[:-1]}
    again = wb.write_checkpoint(plain(), tmp_path / "out", max_shard_bytes=MOST, resume=True)
    assert again.skipped == first.files[:-1]
    assert again.files == first.files
    assert again.bytes == 0
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in first.files[:-1]} == stats


@pytest.mark.parametrize(
    "other",
    [
        {"plan": plain(seed=8)},
        {"plan": plain(rows=301)},
        {"dtype": "float16"},
        {"max_shard_bytes": 180_000},
    ],
    ids=["seed", "plan", "dtype", "size"],
)
def test_another_checkpoint_is_refused(tmp_path: Path, other: dict) -> None:
    wb.write_checkpoint(plain(), tmp_path / "out", max_shard_bytes=MOST)
    before = sums(tmp_path / "out")
    arguments = {"max_shard_bytes": MOST, "plan": plain()} | other
    plan = arguments.pop("plan")
    for mode in ({"resume": True}, {}, {"part": "1/2"}):
        with pytest.raises(OutputError, match="holds files of another checkpoint"):
            wb.write_checkpoint(plan, tmp_path / "out", **arguments, **mode)
    assert sums(tmp_path / "out") == before
    done = wb.write_checkpoint(plan, tmp_path / "out", **arguments, overwrite=True)
    assert names(tmp_path / "out") == sorted(path.name for path in done.files)
    wb.write_checkpoint(plan, tmp_path / "new", **arguments)
    assert sums(tmp_path / "new") == sums(tmp_path / "out")


def test_the_same_checkpoint_is_not_written_twice_by_accident(tmp_path: Path) -> None:
    wb.write_checkpoint(plain(), tmp_path / "out")
    with pytest.raises(OutputError, match=r"holds this checkpoint already.*resume=True.*overwrite=True"):
        wb.write_checkpoint(plain(), tmp_path / "out")
    with pytest.raises(ArgumentError, match="choose one"):
        wb.write_checkpoint(plain(), tmp_path / "out", resume=True, overwrite=True)


def test_a_half_written_file_of_another_seed_is_refused(tmp_path: Path) -> None:
    wb.write_checkpoint(plain(seed=8), tmp_path / "out")
    file = tmp_path / "out" / "model.safetensors"
    partial_path(file).write_bytes(file.read_bytes()[:50_000])
    file.unlink()
    with pytest.raises(OutputError, match="holds files of another checkpoint"):
        wb.write_checkpoint(plain(), tmp_path / "out", resume=True)
    wb.write_checkpoint(plain(), tmp_path / "out", overwrite=True)
    assert names(tmp_path / "out") == ["model.safetensors"]


def test_two_writers_of_one_file(tmp_path: Path) -> None:
    held = PartialFile(tmp_path / "model.safetensors", CHUNK)
    with pytest.raises(OutputError, match="another process is writing"):
        wb.write_checkpoint(plain(), tmp_path, resume=True)
    held.close()
    wb.write_checkpoint(plain(), tmp_path, resume=True)
    assert names(tmp_path) == ["model.safetensors"]


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """The system refuses to write on (EFBIG), near the end of the first file."""
    plan = plain(tensors=4)
    folder = tmp_path / "out"
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sizes = [shard.size for shard in shards_of(plan, 100_000)]
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[0] - 100, usual[1]))
        with pytest.raises(OutputError, match=r"File too large\. 0 of 4 files are whole.*resume=True") as told:
            wb.write_checkpoint(plan, folder, max_shard_bytes=100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "no half-written file has a final name" in str(told.value)
    assert [name for name in names(folder) if not name.startswith(".")] == []
    wb.write_checkpoint(plan, folder, max_shard_bytes=100_000, resume=True)
    wb.write_checkpoint(plan, tmp_path / "whole", max_shard_bytes=100_000)
    assert sums(folder) == sums(tmp_path / "whole")


def test_a_full_disk(tmp_path: Path) -> None:
    """A small file system of its own, full in the middle of a file."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a file system here")
    try:
        plan = plain()  # 1.3 MB
        with pytest.raises(OutputError, match=r"needs 0\.00 GB in .* are free; nothing was written"):
            wb.write_checkpoint(plan, disk / "out", max_shard_bytes=MOST)
        assert names(disk) == []
        other = disk / "somebody's"

        def fill_the_disk(done: int, total: int) -> None:
            if not other.exists():
                other.write_bytes(bytes(600_000))

        small = plain(tensors=8)
        with pytest.raises(OutputError, match=r"No space left on device\. \d of \d files are whole"):
            wb.write_checkpoint(small, disk / "out", max_shard_bytes=MOST, progress=fill_the_disk)
        other.unlink()
        done = wb.write_checkpoint(small, disk / "out", max_shard_bytes=MOST, resume=True)
        assert done.skipped
        wb.write_checkpoint(small, tmp_path / "whole", max_shard_bytes=MOST)
        assert sums(disk / "out") == sums(tmp_path / "whole")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot make the folder"):
        wb.write_checkpoint(plain(), tmp_path / "nowhere" / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        wb.write_checkpoint(plain(), tmp_path / "file")
    if os.geteuid() == 0:
        return  # the system lets root write everywhere
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(OutputError, match=re.escape("Permission denied")):
        wb.write_checkpoint(plain(), closed)
    assert names(closed) == []
