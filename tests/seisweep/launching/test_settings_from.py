"""The settings of a trial as those that a run begins with: what is taken, what is not, and that it is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_job_server import FakeJobServer, FinishingJobServer, serving
from seisweep.cli import run
from seisweep.engine import job_following, launch
from seisweep.engine.outcome import Outcome
from seisweep.launching.settings_from import with_settings_of
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import own_store
from toy_trainable import ToyConfig

from search_spaces.named import named_sweep
from search_spaces.sweep import Sweep, single_run
from trainables.distillation import DistillationConfig

TOY = "toy_trainable:train"


@pytest.fixture
def trials(engine_home: Home, toy_sweep: Callable[..., Sweep], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with `toy-1`: trial 0, and trial 1, the better one, whose settings are not defaults."""
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    monkeypatch.chdir(tmp_path)
    better = ToyConfig(x=0.25, size=3, label="mine", seed=7).model_dump(mode="json")
    better["training"] = {"epochs": 9, "batch_size": 8, "accumulation": 1}
    _record(engine_home, "toy-1", toy_sweep(), [(ToyConfig().model_dump(mode="json"), 0.5), (better, 0.7)], tmp_path)
    return engine_home


def _record(home: Home, name: str, sweep: Sweep, trials: list[tuple[dict[str, Any], float]], place: Path) -> None:
    ledger = Ledger(place / f"{name}.jsonl")
    tracker = Tracker(own_store(home), sweep, name, f"id-{name}", {})
    tracker.begin("", {"sweep": sweep.model_dump(mode="json")})
    for number, (config, value) in enumerate(trials):
        (folder := place / name / str(number) / "artifacts").mkdir(parents=True)
        tracker.trial_begins(ledger.begin_trial(number, {"x": value}, 0), config)
        tracker.report(ledger.report(number, {"epoch": 1, "final": 1, "dev/f1": value}))
        ledger.end_trial(number, "done")
        tracker.trial_ends(ledger.trials[number], folder.parent)
    tracker.end("finished", ledger.trials[0])


def taken(reference: str, sweep: Sweep, home: Home, vary: dict[str, Any] | None = None, **base: Any) -> Any:
    return with_settings_of(reference, sweep, Overrides(base, vary or {}), home, Profile())


@pytest.mark.parametrize("reference", ["toy-1/1", "toy-1/best", "toy-1"])
def test_what_is_no_default_is_taken_and_the_seed_is_not(trials, reference):
    found = taken(reference, single_run(TOY, {}), trials)
    assert found.overrides.base == {"x": 0.25, "size": 3, "label": "mine", "training.epochs": 9}
    assert found.words == [
        "settings of toy-1/1: x=0.25 size=3 label=mine training.epochs=9",
        "not taken, because each trial has its own: seed=7",
    ]


def test_what_the_user_says_goes_before_it(trials):
    found = taken("toy-1/1", single_run(TOY, {}), trials, {"label": ["a", "b"]}, size=5, x=0.25)
    assert found.overrides.base == {"training.epochs": 9, "size": 5, "x": 0.25}
    assert found.overrides.vary == {"label": ["a", "b"]}
    assert "not taken, because you give other values: size=3 label=mine" in found.words


def test_what_the_new_sweep_searches_stays_searched(trials, toy_sweep):
    found = taken("toy-1/1", toy_sweep(), trials)
    assert "x" not in found.overrides.base
    assert found.overrides.base["size"] == 3
    assert "not taken, because toy searches them: x=0.25" in found.words
    assert taken("toy-1/1", toy_sweep(), trials, x=0.1).overrides.base["x"] == 0.1, "which the user has fixed"


def test_a_default_goes_before_what_the_sweep_has(trials, toy_sweep):
    """The trial had 1; the sweep would have 4."""
    found = taken("toy-1/0", toy_sweep(base={"size": 4}), trials)
    assert found.overrides.base == {"size": 1}


def test_settings_of_another_kind_are_named(trials):
    found = taken("toy-1/1", single_run("picking", {}), trials, **{"data.dataset": "ETHZ"})
    assert found.overrides.base == {"data.dataset": "ETHZ", "training.epochs": 9, "training.batch_size": 8}
    assert any(
        line.startswith("not taken, because picking has no such settings: x, size, label") for line in found.words
    )


def test_the_whole_configuration_is_the_same_again(trials, tmp_path):
    """Of a real trainable, lists and nested groups included."""
    config = DistillationConfig.model_validate(
        {
            "data": {"dataset": "ETHZ", "dev_windows_per_trace": 3},
            "teachers": ("a", "b"),
            "student": {"base_channels": 8, "pooling": 4},
            "loss": {"alpha": 0.3},
        }
    )
    dumped = config.model_dump(mode="json")
    _record(trials, "real-1", named_sweep("distillation"), [(dumped, 0.5)], tmp_path)
    found = taken("real-1/0", single_run("distillation", {}), trials)
    from seisweep.requested.trainable import Trainable

    assert Trainable.find("distillation").dump(found.overrides.base) == dumped
    assert set(found.overrides.base) == {
        "data.dataset",
        "data.dev_windows_per_trace",
        "teachers",
        "student.base_channels",
        "student.pooling",
        "loss.alpha",
    }


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["train", TOY, "--settings-from", "toy-1/7"], "--settings-from toy-1/7: toy-1 has no trial 7; it has 2"),
        (["train", TOY, "--settings-from", "toy-2/0"], "--settings-from toy-2/0: no sweep named toy-2 in"),
        (["train", TOY, "--settings-from", "toy-1/x"], "give a trial of a sweep, as distillation-1/3"),
        (["train", TOY, "--settings-from", "runs:/0123"], "give a trial of a sweep"),
        (
            ["run", "distillation", "--extend", "2", "--name", "toy-1", "--settings-from", "toy-1/1"],
            "leave out --settings-from toy-1/1",
        ),
    ],
)
def test_wrong_use_is_one_line(trials, words, part, capsys):
    assert run(words) == 2
    said = capsys.readouterr().err
    assert part in said
    assert said.count("\n") == 1
    assert not list(trials.sweeps_dir.iterdir())


def test_a_population_has_no_settings_of_one_trial(trials, toy_sweep, tmp_path):
    _record(trials, "pbt-1", toy_sweep(scheduler="pbt"), [(ToyConfig().model_dump(mode="json"), 0.5)], tmp_path)
    with pytest.raises(ValueError, match="pbt-1 is a population"):
        taken("pbt-1/0", single_run(TOY, {}), trials)


def test_a_run_begins_with_them_and_says_so(trials, monkeypatch, capsys):
    given: dict[str, Any] = {}

    def over(sweep: Sweep, *_: Any, name: str, **__: Any) -> Outcome:
        given["sweep"] = sweep
        return Outcome(name, "finished", [], None, "0", "r", "", sweep.objectives)

    monkeypatch.setattr(launch, "launch", over)
    run(["train", TOY, "--settings-from", "toy-1/1", "size=2"])
    assert given["sweep"].base == {"x": 0.25, "label": "mine", "training.epochs": 9, "size": 2}
    assert "settings of toy-1/1: x=0.25 label=mine training.epochs=9\n" in capsys.readouterr().err
    monkeypatch.setattr("toy_trainable.sweep", lambda: Sweep(name="toy", trainable=TOY, samples=1), raising=False)
    run(["run", "toy_trainable:sweep", "--settings-from=toy-1/1"])
    assert given["sweep"].base["x"] == 0.25


@pytest.fixture
def cluster(trials: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    monkeypatch.setattr(job_following, "LOOK_EVERY_S", 0.0)
    monkeypatch.setenv("HOME", str(trials.root))
    with serving(FinishingJobServer()) as fake:
        Path("lab.toml").write_text(f'submit_to = "{fake.address}"\njob_home = "/shared/home"\n')
        yield fake


def test_a_cluster_gets_the_settings_and_the_note_themselves(trials, cluster, monkeypatch):
    """It may have neither the trial nor anybody to ask."""
    monkeypatch.setattr("seisweep.commands.run.can_ask", lambda: True)
    monkeypatch.setattr("seisweep.commands.run.ask", lambda question: "a try")
    monkeypatch.setattr("toy_trainable.PRESCRIBED", ("size",), raising=False)
    assert run(["train", TOY, "--profile", "lab.toml", "--settings-from", "toy-1/1", "x=0.5"]) == 0
    (job,) = cluster.jobs.values()
    assert job["entrypoint"].partition("seisweep.cli ")[2] == (
        f"train '--note=a try' {TOY} x=0.5 size=3 label=mine training.epochs=9 --profile lab --name train-1"
    )
    assert json.dumps(job).count("a try") >= 2, "its note says so too"
