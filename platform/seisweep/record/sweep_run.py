"""What the run of a whole sweep says in MLflow: its tags, and who took over from whom in a population."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from search_spaces.sweep import Sweep
from seisweep.record import tags
from seisweep.record.ledger import Exploit
from seisweep.record.mlflow_names import allowed_name


def sweep_tags(sweep: Sweep, note: str) -> dict[str, str]:
    """Tags that its trials do not have."""
    found = {
        tags.ROLE: tags.SWEEP_ROLE,
        tags.STATE: "running",
        tags.OBJECTIVES: json.dumps({allowed_name(name): kind for name, kind in sweep.objectives.items()}),
    }
    if sweep.baseline:
        found[tags.BASELINE] = json.dumps(sweep.baseline)
    if (source := sweep.confirms) is not None:
        found |= {tags.CONFIRMS: source.sweep, tags.CONFIRMED: source.model_dump_json()}
    if note or sweep.description:
        found |= dict.fromkeys((tags.NOTE, tags.OWN_NOTE), note or sweep.description)
    return found


def exploits_table(exploits: Sequence[Exploit]) -> str:
    """Who took over from whom, as CSV: epoch, trial, donor, and the settings that the trial went on with."""
    table = pd.DataFrame([{"epoch": e.epoch, "trial": e.trial, "donor": e.donor, **e.params} for e in exploits])
    return table.to_csv(index=False)


def exploits_in_words(exploits: Sequence[Exploit]) -> dict[int, str]:
    """The same for the run of each trial that took over: `epoch 4 from trial 2; epoch 8 from trial 0`."""
    words: dict[int, list[str]] = {}
    for exploit in exploits:
        words.setdefault(exploit.trial, []).append(f"epoch {exploit.epoch} from trial {exploit.donor}")
    return {number: "; ".join(taken) for number, taken in words.items()}
