"""Which profile: what a user names, else what the environment does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from seisweep.settings.home import Home
from seisweep.settings.profile import Profile, load_profile

PROFILE_VARIABLE = "SEISWEEP_PROFILE"
"""Variable of the environment: the profile where none is given, as a container or a cluster's login node sets it."""


def profile_by_default() -> str:
    """What `--profile` is where it is not given: what SEISWEEP_PROFILE names, else `local`. Commands that go on with a
    sweep do not ask: they run where it was launched."""
    return os.environ.get(PROFILE_VARIABLE) or "local"


def profile_of(given: str | Path | Profile) -> Profile:
    """The profile that `--profile` names; modules in its folder of code are found from now on. Raises ValueError."""
    profile = given if isinstance(given, Profile) else load_profile(str(given), Home.find().profiles_dir)
    if profile.working_dir and (folder := str(Path(profile.working_dir).expanduser().absolute())) not in sys.path:
        sys.path.append(folder)
    return profile
