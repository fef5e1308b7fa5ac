"""Where seisweep runs, and what it can be installed on. Old Pythons read this too: the standard library and old words.

`python3 platform/seisweep/supported.py` says in one line, before anything is installed, why it cannot be.
"""

import platform
import sys

OLDEST = (3, 11)
HERE = "Python 3.11 to 3.13 on Linux or macOS"
BUILT = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",)}
"""Systems and processors for which PyPI has PyTorch and Ray; on Linux with glibc."""


def why_not_run(version: "tuple[int, ...]", system: str) -> str:
    """One line; empty where seisweep runs."""
    if version < OLDEST:
        found = ".".join(map(str, version))
        return f"needs {HERE}, and this is Python {found}: install a newer one, as `uv venv --python 3.12` does"
    if system == "Windows":
        return f"needs {HERE}, and this is Windows: install it in WSL (wsl --install)"
    return ""


def why_not_install(system: str, machine: str, libc: str) -> str:
    """One line; empty where pip finds PyTorch and Ray for this machine."""
    built = machine in BUILT.get(system, ())
    if built and (system != "Linux" or libc == "glibc"):
        return ""
    name = {"Darwin": "macOS"}.get(system, system) + (" without glibc" if built else "")
    return (
        f"cannot be installed by pip on {name}, {machine}: PyTorch and Ray are built for Linux with glibc "
        "(x86-64 or arm64) and for macOS on Apple silicon"
    )


def check_that_it_runs() -> None:
    """Ends the program with one line and exit code 2 where seisweep cannot run."""
    _end_with(why_not_run(tuple(sys.version_info[:2]), platform.system()))


def _end_with(problem: str) -> None:
    if problem:
        print(f"seisweep: {problem}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    check_that_it_runs()
    _end_with(why_not_install(platform.system(), platform.machine(), platform.libc_ver()[0]))
