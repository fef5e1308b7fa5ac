"""A line for the user, on standard error and once."""

from __future__ import annotations

import sys

_said: set[str] = set()


def say_once(line: str) -> None:
    """Print a line that is not repeated in this process."""
    if line not in _said:
        _said.add(line)
        print(line, file=sys.stderr, flush=True)
