"""When a sweep is over, what was found goes into its run in MLflow."""

from __future__ import annotations

import sys

from seisweep.engine.outcome import Outcome


def with_report(outcome: Outcome) -> Outcome:
    """Add report, charts, tables and description to the record of a sweep that is finished; whatever keeps them away
    is one line, and costs the sweep nothing."""
    if outcome.state != "finished" or outcome.lacks_in_mlflow or not (outcome.parent_run_id and outcome.tracking_uri):
        return outcome
    try:
        from seisweep import results
        from seisweep.report.into_mlflow import add_report

        add_report(results.load(outcome.name, outcome.tracking_uri))
    except KeyboardInterrupt:
        _say(outcome, "interrupted")
    except Exception as error:  # a server that is gone, a disk that is full, a chart that cannot be drawn
        _say(outcome, " ".join(str(error).split())[:200] or type(error).__name__)
    return outcome


def _say(outcome: Outcome, why: str) -> None:
    again = f"`seisweep resume {outcome.name}` writes it, `seisweep report {outcome.name}` a file of it"
    print(f"no report in MLflow: {why}; {again}", file=sys.stderr)
