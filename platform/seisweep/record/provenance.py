"""Facts about a launch that its record must hold: code, versions, machine, user."""

from __future__ import annotations

import functools
import getpass
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from seisweep.record import tags

COMMIT_VARIABLE = "SEISWEEP_GIT_COMMIT"
"""Variable of the environment: the commit of an installation that is not a checkout, as an image has it; `-dirty`
behind it says that there were changes."""

PACKAGES = ("seisweep", "torch", "seisbench", "onnxruntime", "ray", "optuna", "mlflow", "numpy")


def launch_tags() -> dict[str, str]:
    """Tags of every run of a launch."""
    commit, dirty = _git(Path(__file__).parent)
    here = {
        tags.VERSIONS: ", ".join(f"{name} {number}" for name in PACKAGES if (number := _version(name))),
        tags.HARDWARE: hardware(),
        tags.USER: _user(),
        tags.SOURCE_NAME: "seisweep",
        tags.SOURCE_TYPE: "LOCAL",
    }
    if commit:
        here |= {tags.GIT_COMMIT: commit, tags.SOURCE_COMMIT: commit, tags.GIT_DIRTY: str(dirty).lower()}
    return here


@functools.cache
def hardware() -> str:
    """This machine: name, processor, cores, and the GPU that this process uses."""
    torch = sys.modules.get("torch")
    gpu = f", {torch.cuda.get_device_name()}" if torch and torch.cuda.is_initialized() else ""
    return f"{platform.node()}: {_processor()}, {os.cpu_count()} cores{gpu}"


def _git(folder: Path) -> tuple[str, bool]:
    """Commit of the source tree and whether it has changes; where seisweep is not a checkout, as it was installed."""
    if not any((parent / ".git").exists() for parent in folder.parents):
        said = os.environ.get(COMMIT_VARIABLE, "")
        return said.removesuffix("-dirty"), said.endswith("-dirty")
    try:
        commit = _run(folder, "rev-parse", "HEAD")
        return commit, bool(_run(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return "", False


def _run(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
