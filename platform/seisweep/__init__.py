"""seisweep: Ray-distributed hyperparameter sweeps for small seismic models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from seisweep.supported import check_that_it_runs

check_that_it_runs()

from seisweep.launching.endings import SweepError, SweepInterrupt  # noqa: E402
from seisweep.launching.fields import limit_fields, resource_fields  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd
    from seisbench.models import WaveformModel

    from search_spaces.sweep import Sweep
    from seisweep.results.sweep_results import SweepResults
    from seisweep.settings.profile import Profile

__all__ = ["SweepError", "SweepInterrupt", "join", "load", "load_picker", "resume", "run", "sweeps", "train"]

# pandas, MLflow and the engine are not imported before they are needed.


def run(
    sweep: str | Sweep,
    *,
    settings: Mapping[str, Any] | None = None,
    samples: int | None = None,
    concurrency: int | None = None,
    extend: int | None = None,
    profile: str | Path | Profile | None = None,
    name: str | None = None,
    note: str = "",
    seed: int | Sequence[int] | None = None,
    sampler: str | None = None,
    scheduler: str | None = None,
    grace_epochs: int | None = None,
    time_budget_s: float | None = None,
    workers: int | None = None,
    cpus: float | None = None,
    gpus: float | None = None,
    memory_gb: float | None = None,
    retry_oom: bool | None = None,
    report_timeout_s: float | None = None,
    disk_budget_gb: float | None = None,
) -> SweepResults:
    """Run a sweep (a search over many trials) to its end, as `seisweep run` does, and return what `load` returns.

        seisweep.run("distillation", samples=20, settings={"data.dataset": "ETHZ", "loss.alpha": (0.2, 0.6)})

    Progress is shown in the notebook or terminal. Interrupting (the kernel, Ctrl-C) ends the sweep between two epochs;
    `resume` goes on with it. Everything lies in the home, SEISWEEP_HOME.

    Arguments:
        sweep: a named sweep (`seisweep sweeps` lists them), `module:function` that returns a `Sweep`, or a
            `search_spaces.sweep.Sweep`, whose trainable and space lie in modules.
        settings: values by dotted key, or groups as nested dicts. A value fixes a key for all trials, a list gives
            several values to choose from, a pair `(low, high)` a range, both ends included. For a setting that is a
            list itself (`teachers`), a list is one value and a list of lists gives several.
        samples: number of trials; a grid has as many as it has combinations times seeds.
        concurrency: most trials to run at a time; default as many as fit.
        extend: number of trials to add to the existing sweep `name`, after a check that it is still the same sweep.
        profile: where trials run: a name (`local`, `cluster`, one of the home), a TOML file, or a `Profile`; default
            SEISWEEP_PROFILE, else `local`. A profile with `submit_to` sends the sweep to a cluster as a job and follows
            it; interrupting leaves the job running.
        name: name to give to this sweep; default: what is run, with a number.
        note: one line that is kept with the sweep: why you run it.
        seed: one seed; for a grid also several.
        sampler: how settings are chosen: `tpe`, `random`, `nsgaii`, `grid`.
        scheduler: how weak trials are stopped early: `asha`, `hyperband`, `none`; or `pbt`.
        grace_epochs: epochs that every trial gets before it may be stopped early; default an eighth of all.
        time_budget_s: seconds after which the sweep stops.
        workers: Ray Train workers for each trial; `cpus`, `gpus` (0.5: half a GPU) and `memory_gb` (GiB) are for each
            worker.
        retry_oom: after running out of memory, go on with half the batch and twice the accumulation.
        report_timeout_s: seconds without a report after which a trial fails; 0: never.
        disk_budget_gb: disk space for the checkpoints of the sweep, in GB.

    Raises:
        ValueError: what is wrong, where, and what would be right, in one line, before anything starts.
        SweepError: no trial finished, the sweep could not go on, or MLflow lacks some of its record. Single failed
            trials are only counted in a line, and their reasons are in `.trials`.
        SweepInterrupt: a KeyboardInterrupt that names the sweep, so that it can be resumed.

    If Ray runs already (after `ray.init()`), it is used and left running; else it is started and stopped again.
    If Ray itself dies, it takes the process with it, but everything was written down before: `resume` in a new process.
    """
    fields = {
        "samples": samples,
        "sampler": sampler,
        "scheduler": scheduler,
        "grace_epochs": grace_epochs,
        "time_budget_s": time_budget_s,
        **resource_fields(workers, cpus, gpus, memory_gb),
    }
    limits = limit_fields(retry_oom, report_timeout_s, disk_budget_gb)
    return _from_python().run(
        sweep, settings, seed, profile, fields, limits, name=name, note=note, concurrency=concurrency, extend=extend
    )


def train(
    trainable: str,
    *,
    settings: Mapping[str, Any] | None = None,
    profile: str | Path | Profile | None = None,
    name: str | None = None,
    note: str = "",
    seed: int | None = None,
    workers: int | None = None,
    cpus: float | None = None,
    gpus: float | None = None,
    memory_gb: float | None = None,
    retry_oom: bool | None = None,
    report_timeout_s: float | None = None,
    disk_budget_gb: float | None = None,
) -> SweepResults:
    """Train once, without a search, as `seisweep train` does: a sweep of one trial, number 0.

        seisweep.train("picking", settings={"data.dataset": "ETHZ", "training.epochs": 30})

    Arguments:
        trainable: `distillation`, `picking`, `pretraining`, `finetuning`, or your own `module:function`.
        settings: values by dotted key, or groups as nested dicts; one value for each key.

    For all other arguments, and what is raised, see `run`.
    """
    fields = resource_fields(workers, cpus, gpus, memory_gb)
    limits = limit_fields(retry_oom, report_timeout_s, disk_budget_gb)
    return _from_python().train(trainable, settings, seed, profile, fields, limits, name=name, note=note)


def resume(
    name: str,
    *,
    extend: int | None = None,
    profile: str | Path | Profile | None = None,
    concurrency: int | None = None,
    retry_oom: bool | None = None,
    report_timeout_s: float | None = None,
    disk_budget_gb: float | None = None,
) -> SweepResults:
    """Go on with a sweep that was interrupted, as `seisweep resume` does: same search, checkpoints and record.

        seisweep.resume("distillation-1", extend=20)

    Arguments:
        name: name of the sweep (`seisweep.sweeps()` lists them). A sweep that is over is returned as it is.
        extend: number of trials to add; the search chooses their settings from the results so far.
        profile: where the sweep goes on; default where it was launched.

    For all other arguments, and what is raised, see `run`.
    """
    limits = limit_fields(retry_oom, report_timeout_s, disk_budget_gb)
    return _from_python().resume(name, profile, limits, concurrency=concurrency, extend=extend)


def _from_python() -> ModuleType:
    """What starts work, imported whole with what it needs, where the libraries have been told to be quiet."""
    from seisweep.quiet import quiet
    from seisweep.settings.interrupts import interrupts_wait

    quiet()
    with interrupts_wait():
        import seisweep.engine.session  # noqa: F401  with Ray and Optuna
        from seisweep.launching import from_python
        from seisweep.private.mlflow import import_database

        import_database()
    return from_python


def load(name: str, tracking_uri: str | None = None) -> SweepResults:
    """A sweep's trials, curves and files: see `seisweep.results`. Raises ValueError."""
    from seisweep import results

    return results.load(name, tracking_uri)


def load_picker(model: str) -> WaveformModel:
    """A trained picker as a model of SeisBench, in PyTorch and FP32: `classify` and `annotate` take ObsPy streams, with
    the thresholds that dev has chosen as defaults.

        seisweep.load_picker("distillation-1").classify(obspy.read("day.mseed")).picks

    Arguments:
        model: a sweep (its promoted trial, else its best), `distillation-1/3`, a picker folder or SeisBench pair,
            `models:/NAME@champion`, `runs:/ID`, `hf:ORG/REPO` (a Hugging Face hub), or a weight name of SeisBench.

    Raises ValueError in one line where there is no such picker, its files are not complete, or it is not a model of
    SeisBench.
    """
    from seisweep.quiet import quiet

    quiet()
    from seisweep.artifacts.seisbench_picker import seisbench_picker
    from seisweep.settings.home import Home

    return seisbench_picker(model, Home.find())


def sweeps(tracking_uri: str | None = None) -> pd.DataFrame:
    """What a store holds, the latest first: name, kind, state, trials, best trial and value, when, note."""
    from seisweep import results

    return results.sweeps(tracking_uri)


def join(*sweeps: str | SweepResults, tracking_uri: str | None = None) -> pd.DataFrame:
    """The trials of several sweeps, loaded or by name, as one table with a column `sweep`. Raises ValueError."""
    from seisweep import results

    return results.join(*sweeps, tracking_uri=tracking_uri)
