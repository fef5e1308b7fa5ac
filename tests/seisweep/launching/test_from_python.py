"""`seisweep.run`, `train` and `resume`, as far as they come without a trial: what is refused, how endings come back."""

from __future__ import annotations

import inspect
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import seisweep
from fake_job_server import FakeJobServer, FinishingJobServer, serving
from seisweep import results
from seisweep.cli import run as command
from seisweep.engine import job_following, launch
from seisweep.engine.outcome import Outcome, TrialRow
from seisweep.settings.profile import Profile
from toy_trainable import ToyConfig

from search_spaces.sweep import Sweep

TOY = Sweep(name="toy", trainable="toy_trainable:train", space="toy_trainable:space", samples=2)


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: seisweep.run("distilation"), "no sweep named distilation: did you mean distillation?"),
        (lambda: seisweep.run("distillation"), "data.dataset is missing"),
        (lambda: seisweep.run(TOY, settings={"y": 1}), "unknown key y"),
        (lambda: seisweep.run(TOY, settings={"x": "high"}), 'x = "high" is not allowed: a number'),
        (lambda: seisweep.run(TOY, settings={"x": {1}}), "x takes a number, text"),
        (lambda: seisweep.run(TOY, samples=0), "samples = 0 is not allowed"),
        (lambda: seisweep.run(TOY, concurrency=0), "concurrency = 0 is not allowed: a whole number, at least 1"),
        (lambda: seisweep.run(TOY, concurrency=True), "concurrency = True is not allowed"),
        (lambda: seisweep.run(TOY, extend=0, name="a"), "extend = 0 is not allowed"),
        (
            lambda: seisweep.run(TOY, grace_epochs=0),
            "grace_epochs = 0 is not allowed: a whole number or null, at least 1",
        ),
        (lambda: seisweep.run(TOY, sampler="best"), 'sampler = "best" is not allowed: one of tpe, random'),
        (lambda: seisweep.run(TOY, seed=[0, 1]), "2 seeds need the sampler grid"),
        (lambda: seisweep.run(TOY, seed=-1), "a whole number from 0 to 4294967295"),
        (lambda: seisweep.run(TOY, seed=1, settings={"seed": 2}), "the seed is given twice"),
        (lambda: seisweep.run(TOY, time_budget_s=0), "time_budget_s = 0 is not allowed"),
        (lambda: seisweep.run(TOY, report_timeout_s=-1), "report_timeout_s = -1 is not allowed"),
        (lambda: seisweep.run(TOY, cpus=1e30), "does not fit: the machines have"),
        (lambda: seisweep.run(TOY, profile="nope"), "no profile named nope"),
        (lambda: seisweep.run(TOY, name="a/b"), "a name is letters, digits"),
        (lambda: seisweep.run(3), "by its name or as module:function, or as a search_spaces.sweep.Sweep, not as int"),
        (lambda: seisweep.train(len), "a trainable is given by its name or as module:function, not as builtin"),
        (lambda: seisweep.train("nope"), "no trainable named nope"),
        (lambda: seisweep.train(TOY.trainable, settings={"x": [0.1, 0.2]}), "x has several values; train takes one"),
        (lambda: seisweep.train(TOY.trainable, settings={"bad_x": 0.1}), "bad_x = 0.1: the toy's data is not there"),
        (lambda: seisweep.train(TOY.trainable, profile=Profile(ray_address="127.0.0.1:1")), "127.0.0.1:1"),
        (lambda: seisweep.resume("toy-1"), "no sweep named toy-1 in"),
        (lambda: seisweep.resume("../toy"), "cannot be the name of a sweep"),
        (
            lambda: seisweep.run(TOY.changed(space="__main__:space")),
            "the space space is defined in this notebook or script",
        ),
        (
            lambda: seisweep.run(TOY.changed(trainable="__main__:fit", space=None)),
            "the trainable fit is defined in this notebook or script, where neither the processes of trials nor a "
            "later resume find it: write it into a module (a cell that begins with %%writefile my_trainable.py) and "
            "name it as my_trainable:fit",
        ),
    ],
)
def test_wrong_use_is_a_value_error_of_one_line_and_leaves_nothing_behind(call, part, home, monkeypatch, capsys):
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # that of other tests of this process
    monkeypatch.setattr("ray.init", lambda *_, **__: pytest.fail("Ray was started for it"))
    monkeypatch.setattr("__main__.space", lambda trial: None, raising=False)
    monkeypatch.setattr("__main__.fit", _fit, raising=False)
    before = _of_the_process()
    with pytest.raises(ValueError, match=re.escape(part)) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert len(caught.traceback) < 10, "where in the engine it was found says a user nothing"
    assert capsys.readouterr() == ("", "")
    assert not home.exists()
    assert not list(Path.cwd().iterdir())
    assert _of_the_process() == before


def _fit(config: ToyConfig, run: object) -> None: ...


def _of_the_process() -> list[object]:
    import signal

    return [Path.cwd(), os.environ.get("PYTHONPATH"), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]


def test_the_command_line_says_the_same(home, capsys):
    with pytest.raises(ValueError, match=r"training\.epochs") as caught:
        seisweep.train(TOY.trainable, settings={"x": 1, "training.epochs": "many"})
    assert command(["train", TOY.trainable, "x=1", "training.epochs=many"]) == 2
    assert capsys.readouterr().err == f"seisweep: {caught.value}\n"


@pytest.fixture
def ending(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Nothing runs: a launch and a resume end as the test says, and are noted."""
    noted: dict[str, Any] = {"state": "finished", "rows": []}

    def over(*given: Any, **named: Any) -> Outcome:
        noted["given"], noted["named"] = given, named
        if error := noted.get("raised"):
            raise error
        said = {key: value for key, value in noted.items() if key in ("by_user", "obstacle", "lacks_in_mlflow")}
        return Outcome("toy-1", noted["state"], noted["rows"], None, "0", "r", "", {"dev/f1": "max"}, **said)

    monkeypatch.setattr(launch, "launch", over)
    monkeypatch.setattr(launch, "resume", over)
    monkeypatch.setattr(results, "load_from", lambda home, name: f"the results of {name}")
    return noted


def test_what_is_given_reaches_the_engine_as_from_the_command_line(ending, monkeypatch):
    options = {"sampler": "random", "scheduler": "none", "time_budget_s": 1800, "workers": 2, "cpus": 0.5, "gpus": 0.25}
    loaded = seisweep.run(
        TOY,
        settings={"x": (0.1, 0.2), "training": {"epochs": 3}},
        samples=7,
        seed=5,
        name="toy-1",
        note="why",
        concurrency=3,
        memory_gb=2.5,
        retry_oom=True,
        report_timeout_s=0,
        disk_budget_gb=1.5,
        **options,
    )
    assert loaded == "the results of toy-1"
    given, named = ending["given"], ending["named"]
    words = "x=0.1..0.2 training.epochs=3 --samples 7 --seed 5 --name toy-1 --note why --concurrency 3 --memory 2.5 "
    words += "--retry-oom --report-timeout 0 --disk-budget 1.5 --sampler random --scheduler none --time-budget 30m "
    words += "--workers 2 --cpus 0.5 --gpus 0.25"
    monkeypatch.setattr("toy_trainable.sweep", lambda: TOY, raising=False)
    monkeypatch.setattr("seisweep.screen.ending.show", lambda outcome: None)
    assert command(["run", "toy_trainable:sweep", *words.split()]) == 0
    assert ending["given"] == given
    assert ending["named"] | {"watch": None} == named | {"watch": None}


def test_a_sweep_is_extended_by_name_alone_and_as_what_it_must_be(ending):
    assert seisweep.resume("toy-1", extend=3, concurrency=2) == "the results of toy-1"
    assert ending["given"][0] == "toy-1"
    assert (ending["named"]["extend"], ending["named"]["concurrency"]) == (3, 2)
    seisweep.run(TOY, settings={"x": [0.1, 0.2]}, extend=3, name="toy-1")
    assert ending["named"]["same_as"].vary["x"].values == [0.1, 0.2]
    with pytest.raises(ValueError, match="give its --name"):
        seisweep.run(TOY, extend=3)


def test_single_failed_trials_are_counted_and_the_results_come_back(ending, capsys):
    ending["rows"] = [TrialRow(0, "a", "done"), TrialRow(1, "b", "failed", reason="loss is nan in epoch 2")]
    assert seisweep.run(TOY) == "the results of toy-1"
    assert capsys.readouterr().err.splitlines() == ["1 of 2 trials failed:", "  trial 1: loss is nan in epoch 2"]


@pytest.mark.parametrize(
    ("came_to", "line"),
    [
        ({"state": "failed", "rows": [TrialRow(0, "a", "failed", reason="loss is nan")]}, "toy-1 failed: loss is nan"),
        (
            {"state": "failed", "rows": 2 * [TrialRow(0, "a", "failed")]},
            "none of its 2 trials has finished",
        ),
        ({"state": "interrupted", "obstacle": "the disk is full: free some"}, "the disk is full: free some, then: "),
        ({"state": "interrupted"}, 'toy-1 was interrupted, then: seisweep.resume("toy-1")'),
        ({"lacks_in_mlflow": "2 trials"}, 'MLflow lacks 2 trials: seisweep.resume("toy-1") brings it'),
    ],
)
def test_a_sweep_without_what_was_asked_for_is_an_error_that_names_it(ending, came_to, line):
    ending |= came_to
    with pytest.raises(seisweep.SweepError) as caught:
        seisweep.run(TOY)
    assert caught.value.name == "toy-1"
    assert line in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).name == "toy-1"


def test_an_interrupt_is_a_keyboard_interrupt_that_says_how_to_go_on(ending, home):
    ending |= {"state": "interrupted", "by_user": True}
    with pytest.raises(KeyboardInterrupt) as caught:
        seisweep.run(TOY)
    assert isinstance(caught.value, seisweep.SweepInterrupt)
    assert str(caught.value) == 'toy-1 was interrupted and nothing is lost; go on with: seisweep.resume("toy-1")'


def test_an_interrupt_that_could_not_be_waited_for_names_the_sweep_that_has_begun(ending, home):
    ending["raised"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as caught:
        seisweep.run(TOY)
    assert not isinstance(caught.value, seisweep.SweepInterrupt), "nothing has begun: there is nothing to go on with"
    (home / "sweeps" / "mine").mkdir(parents=True)
    (home / "sweeps" / "mine" / "sweep.json").write_text("{}")
    with pytest.raises(seisweep.SweepInterrupt, match=r'seisweep.resume\("mine"\)'):
        seisweep.run(TOY, name="mine")


def test_every_argument_is_described():
    for function in (seisweep.run, seisweep.train, seisweep.resume):
        described = inspect.getdoc(seisweep.run) + inspect.getdoc(function)
        assert not [name for name in inspect.signature(function).parameters if name not in described]


@pytest.fixture
def cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    """A cluster that finishes each job at once, and what its sweep came to is in the store."""
    monkeypatch.setattr(job_following, "LOOK_EVERY_S", 0.0)
    monkeypatch.setenv("HOME", str(home.parent))
    monkeypatch.setattr(results, "load_from", lambda home, name: f"the results of {name}")
    monkeypatch.setattr("seisweep.launching.sending._names", lambda *given: set())  # no MLflow is asked
    with serving(FinishingJobServer()) as fake:
        yield fake


def lab(fake: FakeJobServer, **fields: Any) -> Profile:
    server = {"tracking_uri": "http://mlflow:5000"} | fields
    return Profile(name="lab", submit_to=fake.address, job_home="/shared/home", **server)


def sent(fake: FakeJobServer, job: str) -> str:
    return fake.jobs[job]["entrypoint"].partition("seisweep.cli ")[2]


def test_a_sweep_is_sent_to_a_cluster_as_the_same_command(cluster):
    settings = {"data.dataset": "ETHZ", "loss.alpha": (0.2, 0.6), "student.pooling": [2, 4]}
    loaded = seisweep.run(
        "distillation", settings=settings, samples=3, time_budget_s=90, note="first look", profile=lab(cluster)
    )
    assert loaded == "the results of distillation-1"
    assert sent(cluster, "seisweep-distillation-1-1") == (
        "run distillation data.dataset=ETHZ loss.alpha=0.2..0.6 student.pooling=2,4 --samples=3 "
        "--time-budget=90.000000s '--note=first look' --profile lab --name distillation-1"
    )
    assert seisweep.resume("distillation-1", extend=2) == "the results of distillation-1"
    assert sent(cluster, "seisweep-distillation-1-2") == "resume distillation-1 --extend=2 --profile lab"


def test_what_cannot_be_sent_is_refused_before_anything_is(cluster, home, monkeypatch):
    with pytest.raises(ValueError, match="a Sweep that was made here cannot be sent to a cluster"):
        seisweep.run(TOY, profile=lab(cluster))
    with pytest.raises(ValueError, match="names no MLflow server in tracking_uri: their results could not be read"):
        seisweep.train(TOY.trainable, profile=lab(cluster, tracking_uri=None))
    with pytest.raises(ValueError, match="is a place on this machine"):
        seisweep.run("distillation", settings={"data.dataset": "./here"}, profile=lab(cluster))
    monkeypatch.setattr("toy_trainable.sweep", lambda: TOY, raising=False)
    with pytest.raises(ValueError, match="label cannot be sent to a cluster as the text"):
        seisweep.run("toy_trainable:sweep", settings={"label": ["a,b", "c"]}, profile=lab(cluster))
    assert cluster.jobs == {}
    assert not home.exists()


def test_a_job_that_fails_or_is_left_says_how_to_come_back(cluster, monkeypatch, capsys):
    cluster.outcome = {"status": "FAILED", "driver_exit_code": 1}
    with pytest.raises(seisweep.SweepError, match=r"mine has not finished, as its job says above"):
        seisweep.train(TOY.trainable, profile=lab(cluster), name="mine")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job_following, "follow", interrupted)
    with pytest.raises(seisweep.SweepInterrupt, match="other goes on as a job of the cluster: `seisweep logs other`"):
        seisweep.train(TOY.trainable, profile=lab(cluster), name="other")
