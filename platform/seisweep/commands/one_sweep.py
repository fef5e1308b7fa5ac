"""`seisweep sweeps NAME`: one sweep in full, as it stands in the record, or as its name alone would launch it."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisweep.screen.terminal import bold, columns_of
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here
from seisweep.text import show_value

if TYPE_CHECKING:
    from search_spaces.sweep import Sweep
    from seisweep.engine.job import Job
    from seisweep.results.sweep_results import SweepResults

Facts = dict[str, Any]
"""What and its value: a text, a number, several lines, or pairs of a key and what it is."""


def of_record(loaded: SweepResults, state: str, home: Home, job: Job | None) -> Facts:
    """A launched sweep: what it is, how far it is, where its files are, how it is run again."""
    from seisweep.record import tags
    from seisweep.report.how_it_ran import ran
    from seisweep.report.question import asked

    facts, wanted = loaded.parent.data.tags, asked(loaded)
    how = dict(ran(loaded))
    description = loaded.definition.description if loaded.definition else ""
    folder = home.sweep_dir(loaded.name)
    return {
        "name": loaded.name,
        "what it is": ": ".join(filter(None, [facts.get(tags.KIND, ""), description])),
        "note": note if (note := how.get("note", "")) != description else "",
        "state": state,
        "trials": _trials(loaded),
        "best": _best(loaded),
        **dict(wanted.plan),
        "searched": dict(wanted.searched),
        "fixed": dict(wanted.fixed),
        "data": " ".join(facts[key] for key in (tags.DATASET, tags.DATA_FINGERPRINT) if key in facts),
        "code": how.get("code", ""),
        "launched": how.get("launched", ""),
        "ended": how.get("ended", "") if state != "running" else "",
        "job": f"{job.id} of a cluster" if job else "",
        "recorded in": loaded.tracking_uri,
        "folder": from_here(folder) if folder.is_dir() else "",
        "files": _files(loaded),
        "run it again": _again(wanted.again, own_code=wanted.own_code),
    }


def of_name(name: str, sweep: Sweep, launched: Sequence[str]) -> Facts:
    """A named sweep, or one that a user's own function returns. `launched`: those of this kind in the record."""
    from search_spaces.narrowing import dimensions
    from seisweep.report.question import objectives_in_words, plan_of
    from seisweep.requested.trainable import Trainable
    from seisweep.settings.fields import walk

    config = Trainable.find(sweep.trainable).config_class
    wanted = (
        [*sweep.required, *(key for key, field in walk(config) if field.is_required())] if config else sweep.required
    )
    given = "".join(f" {key}=..." for key in dict.fromkeys(wanted) if key not in sweep.base | sweep.vary)
    return {
        "name": name,
        "what it is": sweep.description,
        "trainable": sweep.trainable,
        "objectives": objectives_in_words(sweep.objectives),
        **dict(plan_of(sweep)),
        "searched": dimensions(sweep),
        "fixed": {key: show_value(value) for key, value in sweep.base.items()},
        "launched": ", ".join(launched),
        "run it": [f"seisweep run {name}{given}"],
        "what can be set": f"seisweep settings {name}",
    }


def print_facts(facts: Facts) -> None:
    """Under each other, on standard output; what is empty is left out."""
    shown = {what: lines for what, value in facts.items() if (lines := _lines(value))}
    widest = max(map(len, shown))
    columns = columns_of(sys.stdout)
    for what, lines in shown.items():
        for number, line in enumerate(lines):
            heading = " " * widest if number else bold(what, sys.stdout) + " " * (widest - len(what))
            is_words = columns is not None and "://" not in line and not isinstance(facts[what], list)
            room = max(20, columns - widest - 2) if columns is not None and is_words else len(line) + 1
            first, *more = textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False)
            print(f"{heading}  {first}")
            for rest in more:
                print(f"{' ' * widest}  {rest}")
    sys.stdout.flush()


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{key} {words}" for key, words in value.items()]
    return [str(line) for line in (value if isinstance(value, list) else [value]) if line not in ("", None)]


def _trials(loaded: SweepResults) -> str:
    from seisweep.record import tags

    counts = Counter(loaded.state(number) for number in loaded.runs)
    wanted = loaded.parent.data.tags.get(tags.NUM_TRIALS, "")
    states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    of = f" of {wanted}" if wanted and wanted != str(len(loaded.runs)) else ""
    return f"{len(loaded.runs)}{of}{f': {states}' if states else ''}"


def _best(loaded: SweepResults) -> str:
    """By the first objective, with what its trial says of how well it is known and of its INT8 file."""
    from seisweep.statistics.certainty import LEVEL, interval_of
    from trainables import metrics

    if not (done := loaded.finished()):
        return ""
    run, metric = loaded.run(done[0]), loaded.objective.metric
    interval, verdict = interval_of(run.data.metrics, metric), run.data.tags.get(metrics.INT8_VERDICT)
    words = f"trial {done[0]}: {metric} {show_value(run.data.metrics[metric])}"
    words += f" ({LEVEL} {interval})" if interval else ""
    return words + (f", INT8 {verdict}" if verdict else "")


def _files(loaded: SweepResults) -> dict[str, str]:
    """Where those of the sweep itself, of its best trial and of its promoted picker are; of a server, its address."""
    from seisweep.artifacts.seisbench_picker import promotion_of
    from seisweep.record import tags
    from seisweep.results.files import folder_here

    runs = {"of the sweep:": loaded.parent}
    if done := loaded.finished():
        runs[f"of trial {done[0]}, the best:"] = loaded.run(done[0])
    places = {whose: folder_here(run) or run.info.artifact_uri for whose, run in runs.items()}
    if promotion := promotion_of(loaded):
        own = folder_here(promotion)
        places["of the promoted picker:"] = own / tags.PICKER_FOLDER if own else promotion.info.artifact_uri
    return {whose: from_here(place) if isinstance(place, Path) else place for whose, place in places.items()}


def _again(lines: list[str], *, own_code: bool) -> list[str]:
    if lines:
        return ["# with your own paths", *lines] if lines[1:] else lines
    if own_code:
        return ["not with a single command: it was launched by its own code"]
    return ["its record does not say how it was launched"]
