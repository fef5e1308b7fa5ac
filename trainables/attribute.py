"""A user's own code by its name, `module:attribute`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any


def load_attribute(path: str, what: str) -> Any:
    """The object behind `module:attribute`; `what` names its role in the error. Raises ValueError."""
    module_name, _, attribute = path.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # a user's own module lies where they work
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{what} {path} cannot be loaded: {error}") from error
    except (Exception, SystemExit) as error:  # no module's name; a module that is not Python, fails, or is a program
        raise ValueError(f"{what} {path} cannot be loaded: {type(error).__name__}: {error}") from error
    return found
