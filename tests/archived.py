"""What tests of packing and merging share: a sweep's folder described, and everything that a store holds of a sweep."""

from __future__ import annotations

import json
from pathlib import Path

from seisweep import results
from seisweep.engine.sweep_folder import Launch
from seisweep.record import tags
from seisweep.results.open_store import open_store
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile

LOCAL = Profile()


def silent(line: str) -> None: ...


def describe(home: Home, name: str = "many-1", **base: str) -> None:
    loaded = results.load(name, home.mlflow_uri)
    sweep = loaded.definition
    assert sweep is not None
    launched = Launch(
        folder=home.sweep_dir(name), id=f"id-{name}", name=name, sweep=sweep.changed(base=base), profile=LOCAL,
        note="", created="", tags={}, lain_at=[str(home.root)],
    )  # fmt: skip
    home.sweep_file(name).write_text(json.dumps(launched.as_dict()))


def values(store: str, name: str) -> list[tuple[str, ...]]:
    """Every value with its trial, step and time."""
    loaded = results.load(name, store)
    number = {run.info.run_id: str(trial) for trial, run in loaded.runs.items()} | {loaded.parent.info.run_id: "sweep"}
    found = open_store(store).values([loaded.parent, *loaded.runs.values()])
    return sorted((number[one.run_id], *map(str, one[1:])) for one in found)


def facts(run: results.SweepResults) -> dict[str, str]:
    """Without what a merge makes anew."""
    return {key: value for key, value in run.data.tags.items() if key not in (tags.PARENT, tags.MERGED)}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
