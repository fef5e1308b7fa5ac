"""What Ray Tune asks and tells: it goes to the ledger first, then to Optuna, MLflow and the watch."""

from __future__ import annotations

from typing import Any

from ray import tune
from ray.tune.search import Searcher

from seisweep.engine.finish import close_trial, take_back
from seisweep.engine.nodes import Nodes
from seisweep.engine.outcome import LeftBehind, State
from seisweep.engine.parts import Parts
from seisweep.engine.preparing import Preparing
from seisweep.engine.recovery import Recovery
from seisweep.engine.schedulers import Comparing
from seisweep.record.ledger import EndState, TrialRecord
from seisweep.workers.faults import Fault
from seisweep.workers.trial import FAILURE, METRICS, log_name
from trainables import metrics as names


class TuneCallback(tune.Callback):
    """Host of the searcher and Tune's callback. Every trial has one number: in Optuna, ledger, MLflow, watch."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.plan, self.ledger, self.study = parts.plan, parts.ledger, parts.study
        self.tracker, self.population, self.watch = parts.tracker, parts.population, parts.watch
        self.recovery = Recovery(parts)
        self.preparing = Preparing(self.plan.logs, self.watch.log)
        self.relay: Any = None
        """The actor that frees the workers of Ray Train trials; None where trials train by themselves."""
        self.nodes: Nodes | None = None
        """Of a cluster; None on one machine."""
        self._numbers: dict[str, int] = {}  # by Tune's trial id
        self._legs: dict[int, int] = {}  # how often a trial of a population began again in this session
        self._cut: set[str] = set()  # Tune's ids of trials that the scheduler stopped
        self._seen: dict[str, tuple[int, bool]] = {}  # epoch of the last report, and whether it was the final one

    def on_nodes(self, nodes: Nodes) -> None:
        """The session runs on these nodes of a cluster."""
        self.nodes = nodes
        self.recovery.on_nodes(nodes)

    def use_relay(self, relay: Any) -> None:
        """Ray Train trials go through this actor, which also knows where their workers may be."""
        self.relay, nodes = relay, self.nodes
        if nodes:
            relay.use.remote(list(nodes.usable))
            nodes.changed.append(lambda: relay.use.remote(list(nodes.usable)))
            nodes.leave.append(lambda leaving: relay.vacate.remote(list(leaving)))

    # What the searcher asks

    def places(self) -> int:
        """How many trials may be under way on the nodes of now."""
        assert self.nodes is not None
        self.look_at_nodes()
        return self.nodes.slots()

    def propose(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's Tune config: number, parameters, whole configuration, checkpoint to go on from, and nodes
        that it is not to run on."""
        if self.population is None:
            return self._begin(trial_id)
        record = self.population.take()
        if record is not None or not self.population.all_begun:
            return self._begin(trial_id, record)
        return Searcher.FINISHED if self.population.all_over else None

    def _begin(self, trial_id: str, record: TrialRecord | None = None) -> dict[str, Any]:
        """A trial that the study proposes, or this one of a population once more."""
        if record is None:
            trial = self.study.ask()
            record = self.ledger.begin_trial(trial.number, dict(trial.params), self.study.seed_of(trial))
            self.tracker.searched(self.study.distributions.as_data())
        number = self._numbers[trial_id] = record.number
        config, error = self.plan.configure(record)
        leg = self._legs[number] = self._legs.get(number, -1) + 1
        past = list(self.ledger.reports({number})) if record.epoch and not leg else []
        if past and isinstance(self.parts.scheduler, Comparing):
            self.parts.scheduler.replay(trial_id, number, past)
        if leg:
            self.tracker.changed(record, config)
        else:
            self.tracker.trial_begins(record, config, past)
        return {
            "trial": number,
            "leg": leg,
            "params": record.params,
            "config": config,
            "error": error,
            "resume_from": self.recovery.checkpoint_of(record),
            "avoid": [],
        }

    def trial_over(self, trial_id: str, failed: bool) -> None:
        """Tune is done with a trial: write down how it ended, then tell Optuna. Or it waits at a barrier."""
        record = self._record(trial_id)
        if trial_id in self.recovery.set_aside:
            return
        with self.recovery.disk_full_ends_the_sweep(trial_id):
            if record.running and self._waits(record, trial_id, failed):
                assert self.population is not None
                self.population.waiting.add(record.number)
            else:
                if record.running:
                    self.ledger.end_trial(record.number, *self._verdict(record, trial_id, failed))
                self.study.tell(record)
            self.pass_barrier()

    def _waits(self, record: TrialRecord, trial_id: str, failed: bool) -> bool:
        if self.population is None or failed or record.final or trial_id not in self._cut:
            return False
        return self.population.at_barrier(record)

    def pass_barrier(self) -> None:
        """Where all trials of a population have arrived, some take over from others, and all go on."""
        if self.population is None:
            return
        for exploit in self.population.pass_barrier():
            self.watch.log(f"trial {exploit.trial} goes on from trial {exploit.donor} after epoch {exploit.epoch}")
        self.tracker.exploited(self.ledger.exploits)

    def _verdict(self, record: TrialRecord, trial_id: str, failed: bool) -> tuple[EndState, str]:
        if trial_id in self.recovery.reasons:
            return "failed", self.recovery.reasons[trial_id]
        if failed:
            return "failed", self.recovery.of_death(trial_id)
        if self.population is not None and trial_id in self._cut and not record.final:
            return "failed", f"pbt needs a checkpoint with the report of epoch {record.epoch}, but there was none"
        missing = [metric for metric in self.plan.sweep.objectives if metric not in record.metrics]
        if missing:
            reported = ", ".join(sorted(record.metrics)) or "nothing"
            return "failed", f"ended without reporting {missing[0]}; it reported {reported}"
        if trial_id in self._cut and not record.final:
            return "stopped", f"stopped by {self.plan.sweep.scheduler} after epoch {record.epoch}"
        return "done", ""

    # What Tune calls

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.recovery.began(trial)
        self._show(trial.trial_id, "running")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.recovery.heard(trial)
        with self.recovery.disk_full_ends_the_sweep(trial.trial_id):
            if FAILURE in result:
                self.recovery.fault(trial, self._record(trial.trial_id), Fault(*result[FAILURE]))
            else:
                self.recovery.reported(trial.trial_id)
                self._result(trial, result)

    def _result(self, trial: Any, result: dict[str, Any]) -> None:
        metrics = result[METRICS]
        if self.population is not None and not metrics.get(names.FINAL):
            metrics = metrics | self.population.settings(self._record(trial.trial_id))
        self._seen[trial.trial_id] = int(metrics[names.EPOCH]), bool(metrics.get(names.FINAL))
        report = self.ledger.report(self._numbers[trial.trial_id], metrics)
        if result.get("done"):  # Tune sets it on the report at which the scheduler stops a trial
            self._cut.add(trial.trial_id)
        if report:
            self.tracker.report(report)
            self._show(trial.trial_id, "running")

    def on_checkpoint(
        self, iteration: int, trials: list[Any], trial: Any, checkpoint: tune.Checkpoint, **info: Any
    ) -> None:
        epoch, final = self._seen.get(trial.trial_id, (0, False))
        with self.recovery.disk_full_ends_the_sweep(trial.trial_id):
            record = self._record(trial.trial_id)
            if too_much := self.parts.checkpoints.arrived(record, epoch, checkpoint, final):
                self.recovery.stop.end(too_much)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._free(trial.trial_id)
        self.recovery.tried_again(trial, self._record(trial.trial_id))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._close(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._close(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        take_back(self.parts)
        if full := self.parts.checkpoints.free_disk.full():
            self.recovery.stop.end(full)
        self.recovery.end_hung(trials)
        self.preparing.look(  # lazily: this is called all the time, and there may be a thousand trials
            self._numbers[trial.trial_id]
            for trial in trials
            if trial.status == "RUNNING" and trial.trial_id not in self._seen
        )
        self.look_at_nodes()

    def look_at_nodes(self) -> None:
        """Nodes of a cluster may have joined, left, or all be gone."""
        if self.nodes:
            self.nodes.look()
            if gone := self.nodes.obstacle:
                self.recovery.stop.end(gone)

    @property
    def left_behind(self) -> LeftBehind:
        """What this session could not use or finish, for the machines of its cluster."""
        left_out = self.nodes.left_out_by_name if self.nodes else []
        return LeftBehind(left_out, self.recovery.unfinished)

    def _free(self, trial_id: str) -> None:
        if self.relay is not None:
            self.relay.close.remote(trial_id)

    def _close(self, trial_id: str) -> None:
        self._free(trial_id)
        self.recovery.over(trial_id)
        record = self._record(trial_id)
        if record.running:  # set aside, or waiting at a barrier
            self._show(trial_id, "pending")
            return
        close_trial(self.parts, record)
        self._show(trial_id, record.state)
        log = self.plan.logs / log_name(record.number)
        if record.state == "failed" and log.exists():
            self.watch.log(f"  its log: {log}")

    def _record(self, trial_id: str) -> TrialRecord:
        return self.ledger.trials[self._numbers[trial_id]]

    def _show(self, trial_id: str, state: State) -> None:
        self.watch.trial_update(self.parts.row(self._record(trial_id), state))

    def __reduce__(self) -> tuple[Any, ...]:
        return tune.Callback, ()  # what Ray pickles into its own, unused snapshot
