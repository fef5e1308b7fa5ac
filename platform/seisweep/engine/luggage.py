"""What travels with a sweep to other machines, by Ray's runtime environment: variables, packages, a folder of code."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from seisweep.quiet import ENVIRONMENT
from seisweep.settings.profile import Profile

_EXPANDED = re.compile(r"\$(\w|\{)")
"""Ray takes this in a value for the name of a variable of the other machine."""


def carried(profile: Profile) -> dict[str, str]:
    """The variables that the profile names and that are set here. Raises ValueError where Ray would change a value."""
    found = {name: os.environ[name] for name in profile.carry if os.environ.get(name)}
    for name, value in found.items():
        if _EXPANDED.search(value):
            raise ValueError(
                f"{name}, which profile {profile.name} carries, has a $ before a letter or a brace: Ray would put a "
                "variable's value there; choose another one, or set it on the nodes themselves"
            )
    return found


def for_trials(profile: Profile) -> dict[str, Any]:
    """The runtime environment of the processes of trials, for a driver on a node of the cluster. What the driver is a
    job of has been told of variables counts as it is told here. Raises ValueError."""
    os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")  # where both say something, Ray would refuse to begin
    quiet = {name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()}
    return packed(profile) | {"env_vars": quiet | carried(profile)}


def packed(profile: Profile) -> dict[str, Any]:
    """Packages and folder. Raises ValueError."""
    luggage: dict[str, Any] = {}
    if profile.pip:
        luggage["pip"] = list(profile.pip)
    if profile.working_dir:
        luggage["working_dir"] = str(working_dir(profile))
    return luggage


def working_dir(profile: Profile) -> Path:
    """The folder of this machine that travels. Raises ValueError where there is none."""
    folder = Path(profile.working_dir or "").expanduser().absolute()
    if not folder.is_dir():
        where = f"working_dir = {profile.working_dir} of profile {profile.name}"
        raise ValueError(f"{where}: {folder} is not a folder here")
    return folder
