"""What a sweep would do, without beginning it: all checks, its space, its first trials, its models, its time."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from search_spaces.narrowing import dimensions, enumerate_space
from search_spaces.sweep import Sweep
from seisweep.artifacts.weights import with_local_weights
from seisweep.engine.forecast import Forecast, forecast
from seisweep.engine.launch import check_launch, check_sweep, facts_of
from seisweep.quiet import quiet
from seisweep.requested.trainable import Trainable
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile


class LookAhead(NamedTuple):
    """A sweep that could begin."""

    sweep: Sweep
    searched: dict[str, str]
    """Each key with what it may be, in words."""
    fixed: dict[str, Any]
    """What all trials have that is not a default."""
    ahead: Forecast


@dataclass(frozen=True)
class _WithCacheAside(Home):
    """A home that is read as it is; what would be cached in it goes elsewhere."""

    aside: Path = Path()

    @property
    def cache_dir(self) -> Path:
        return self.aside


def look(sweep: Sweep, profile: Profile, home: Home, name: str | None, concurrency: int | None) -> LookAhead:
    """Raises ValueError in one line for everything that would keep the sweep from beginning."""
    quiet()
    trainable = Trainable.find(sweep.trainable)
    with tempfile.TemporaryDirectory(prefix="seisweep-dry-run-") as folder:
        if profile.submit_to:  # data and teachers are those of the cluster
            check_sweep(sweep, trainable, profile)
            here = sweep
        else:
            points = check_launch(sweep, trainable, profile, home, name)
            here, origin = with_local_weights(sweep, profile, _WithCacheAside(home.root, Path(folder)))
            facts_of(here, trainable, enumerate_space(here) if points and origin else points)
        ahead = forecast(here, trainable, profile, home.cache_dir, concurrency, is_dry=True)
        return LookAhead(sweep, dimensions(sweep), dict(sweep.base), ahead)
