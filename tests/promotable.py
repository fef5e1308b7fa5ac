"""Trials with the files of real trainings, written into a store as the engine does; waveforms for their pickers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import obspy
from seisbench.models import WaveformModel
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store


def record(
    home: Home, sweep: Any, name: str, facts: dict[str, str], trials: list[tuple[str, Path, dict, dict]]
) -> None:
    """Write a sweep into the home's store as the engine does. Of each trial: state, checkpoint, config, metrics."""
    tracker = Tracker(own_store(home), sweep, name, f"id of {name}", facts)
    tracker.begin("", {})
    home.sweep_dir(name).mkdir()
    ledger = Ledger(home.sweep_dir(name) / "ledger.jsonl")
    for number, (state, checkpoint, config, metrics) in enumerate(trials):
        tracker.trial_begins(ledger.begin_trial(number, {"loss.alpha": 0.5}, seed=0), config)
        tracker.report(ledger.report(number, metrics))
        ledger.end_trial(number, state, "out of luck" if state == "failed" else "")
        tracker.trial_ends(ledger.trials[number], checkpoint)
    tracker.end("finished", ledger.trials[0])


def write_waveforms(file: Path) -> None:
    """A minute and a half of a station's three components, of noise alone."""
    rng = np.random.default_rng(0)
    header = {"network": "XX", "station": "A", "sampling_rate": 100}
    traces = [np.cumsum(rng.normal(size=9000)).astype(np.float32) for _ in "ENZ"]
    parts = [obspy.Trace(one, {**header, "channel": f"HH{c}"}) for c, one in zip("ENZ", traces, strict=True)]
    obspy.Stream(parts).write(str(file), format="MSEED")


def picks_of(model: WaveformModel, file: Path | str = "day.mseed") -> list[str]:
    """What it finds, with thresholds that let noise through: a model that has hardly trained finds nothing else."""
    return [str(pick) for pick in model.classify(obspy.read(file), P_threshold=0.01, S_threshold=0.01).picks]
