"""Many objects at once, none of them garbage: Python's collector would go through all of them again and again.

Reading a sweep of a thousand trials out of MLflow's database makes hundreds of thousands of objects; the collector
took more than half of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collections() -> Iterator[None]:
    """While it is open, garbage in cycles is left lying."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
