"""The token of a Ray cluster: which one this machine has, and what to say where it is missing or wrong.

Ray itself looks at RAY_AUTH_TOKEN, at the file of RAY_AUTH_TOKEN_PATH and at ~/.ray/auth_token, in this order; a
profile may name a file, which comes first. Ray made the last one by itself where it ever ran on this machine alone: it
opens no cluster of anybody else.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from seisweep.say import say_once
from seisweep.settings.profile import Profile

MODE, VARIABLE, FILE_VARIABLE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
DEFAULT_FILE = "~/.ray/auth_token"
REMEDY = f"give the cluster's own in {VARIABLE}, in {DEFAULT_FILE}, or in a file that token_file of the profile names"


@dataclass(frozen=True)
class Token:
    """A token and where it comes from."""

    value: str = field(repr=False)
    source: str

    @property
    def headers(self) -> dict[str, str]:
        """As HTTP and gRPC carry it."""
        return {"authorization": f"Bearer {self.value}"}


def find_token(profile: Profile) -> Token | None:
    """The token that this machine has for the cluster of a profile. Raises ValueError where a file that is named holds
    none."""
    if profile.token_file:
        return _in_file(Path(profile.token_file).expanduser(), f"token_file of profile {profile.name}")
    if value := os.environ.get(VARIABLE, "").strip():
        return Token(value, VARIABLE)
    if named := os.environ.get(FILE_VARIABLE):
        return _in_file(Path(named).expanduser(), FILE_VARIABLE)
    default = Path(DEFAULT_FILE).expanduser()
    return _in_file(default, "") if default.is_file() and default.stat().st_size else None


def _in_file(file: Path, named_by: str) -> Token:
    said = f"{file} ({named_by})" if named_by else DEFAULT_FILE
    try:
        value = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the token of the Ray cluster cannot be read: {said}: {_reason(error)}") from None
    if not value:
        raise ValueError(f"the token of the Ray cluster is missing: {said} is empty")
    return Token(value, said)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it is not text"


def use(token: Token | None, profile: Profile) -> None:
    """From now on Ray in this process and in those that it starts has this token."""
    if token is None:
        return
    os.environ.setdefault(MODE, "token")
    if profile.token_file:  # for Ray the variable with the token itself comes first
        os.environ.pop(VARIABLE, None)
        os.environ[FILE_VARIABLE] = str(Path(profile.token_file).expanduser().absolute())


def refused(address: str, token: Token | None) -> ValueError:
    """What to say where a cluster asks for a token, and this one is missing or wrong."""
    if token is None:
        return ValueError(f"the Ray cluster at {address} asks for a token, and this machine has none: {REMEDY}")
    return ValueError(f"the Ray cluster at {address} does not take the token in {token.source}: {REMEDY}")


def warn_of_open_cluster(address: str, host: str) -> None:
    """One line where a cluster that other machines reach takes anybody."""
    try:
        is_closed = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_closed = host == "localhost"
    if not is_closed:
        say_once(
            f"the Ray cluster at {address} asks for no token: anybody who reaches it can run code on it; start its "
            f"nodes with {MODE}=token and the same {VARIABLE}"
        )
