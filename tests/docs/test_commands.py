"""Every command of README and docs exists: those that only read are run as they stand there, all others are read by the
real program and their settings by the real parser, for the reasons in NOT_RUN."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from archived import describe
from documented import PAGES, REPOSITORY, Block, blocks, in_prose, words_of
from seisweep.artifacts.trained_with import DATASET, ScoringConfig
from seisweep.cli import app
from seisweep.cli import run as run_program
from seisweep.commands.evaluate_tasks import check_settings
from seisweep.requested.sweep import narrow, parse_duration, parse_seeds
from seisweep.requested.trainable import Trainable
from seisweep.settings.home import Home
from seisweep.settings.overrides import build_config, parse_overrides
from simulated import write_documented

from search_spaces.named import NAMED, named_sweep
from search_spaces.sweep import single_run
from trainables.data.synthetic import write_local_earthquakes

READS = ("results", "sweeps", "settings", "report", "plot", "pack", "merge", "data info")
"""Commands that are run as they stand there, in a home with sweeps of the names that README and docs use."""

NOT_RUN = {
    "run": "trains for minutes to hours; tests/seisweep/demos runs whole searches",
    "train": "trains for minutes to hours; tests/seisweep/demos runs whole trainings",
    "resume": "trains on; tests/seisweep/engine resumes",
    "confirm": "trains for minutes to hours; tests/seisweep/engine confirms",
    "demo": "takes minutes; tests/seisweep/demos runs it with --tiny",
    "evaluate": "wants weights of a real training; tests/seisweep/commands/test_evaluate.py has some",
    "pick": "wants weights of a real training; tests/seisweep/commands/test_pick.py has some",
    "promote": "wants weights of a real training; tests/seisweep/promotion has some",
    "data": "reads or writes whole data sets; tests/seisweep/commands/test_data*.py has small ones",
    "delete": "asks; tests/seisweep/archive answers",
    "doctor": "looks at this machine, whatever it has; tests/seisweep/commands/test_doctor_checks.py",
    "ui": "serves until it is stopped; tests/seisweep/commands/test_ui.py",
    "stop": "wants a sweep that runs; tests/seisweep/commands/test_jobs.py",
    "logs": "wants a sweep that runs; tests/seisweep/commands/test_jobs.py",
}

ELSEWHERE = re.compile(r"(?:run (?:--rm |-d |--name \S+ )+sweep |-- seisweep |sweep\.sbatch (?=run|train|confirm))(.*)")
"""What seisweep is told in a container, in a pod, in a job."""

COMMANDS = [block for page in PAGES for block in blocks(page) if block.language == ""]
PROGRAM = typer.main.get_command(app)


def called(words: list[str]) -> tuple[str, dict[str, Any]]:
    """Which command it is, and what the real program reads from its words. Raises its errors."""
    command: Any = PROGRAM
    path: list[str] = []
    while hasattr(command, "commands"):
        name, *words = words
        assert name in command.commands, f"no command {' '.join([*path, name])}"
        command = command.commands[name]
        path.append(name)
    return " ".join(path), command.make_context(" ".join(path), list(words)).params


def check(words: list[str]) -> str:
    """What the line calls, once its options and settings are found to exist."""
    name, given = called(words)
    overrides = parse_overrides(given.get("settings") or [])
    if given.get("settings_from"):  # they have what must be given
        overrides.base.setdefault(DATASET, "ETHZ")
    if name == "run":
        sweep = narrow(named_sweep(given["sweep"]), overrides, _fields(given))
        Trainable.find(sweep.trainable).check(sweep)
    if name == "train":
        sweep = narrow(single_run(given["trainable"], {}), overrides, {})
        Trainable.find(sweep.trainable).check(sweep)
    if name == "confirm":
        assert all(Trainable.find("distillation").has(key) for key in overrides.base)
    if name == "evaluate":
        settings = parse_overrides([word for word in given["words"] if "=" in word])
        if given["tasks"] or given["task"]:
            check_settings(settings)
        else:
            build_config(ScoringConfig, {DATASET: "", **settings.base})
    if name == "settings":
        assert given["sweep"] in NAMED or ":" in given["sweep"] or Trainable.find(given["sweep"])
    return name


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    seeds, budget = given["seed"], given["time_budget"]
    fields = {name: given[name] for name in ("samples", "sampler", "scheduler")}
    return fields | {
        "seeds": parse_seeds(seeds) if seeds else None,
        "time_budget_s": parse_duration(budget) if budget else None,
    }


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The modules that the pages show, where a user has them: in the current folder."""
    for name in ("my_network", "my_module"):
        page = REPOSITORY / f"docs/tutorials/your-own-{'network' if name == 'my_network' else 'trainable'}.md"
        (code,) = [block.text for block in blocks(page) if block.language == "python"]
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield
    for name in ("my_network", "my_module"):
        sys.modules.pop(name, None)


def is_checked(command: str) -> bool:
    """Whether one of the checks below knows the program: if not, its block wants a mark."""
    words = words_of(command)
    if not words or words[0] == "export":  # variables alone
        return True
    if words[0] == "make":
        makefile = (REPOSITORY / "Makefile").read_text()
        return all(re.search(rf"^{target}:", makefile, re.M) for target in words[1:])
    return words[0] == "seisweep"


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: block.where)
def test_what_is_typed_exists(block: Block):
    for command in block.commands:
        if words_of(command)[:1] == ["seisweep"]:
            name = check(words_of(command)[1:])
            assert name in READS or name.split()[0] in NOT_RUN or block.mark
        elif found := ELSEWHERE.search(command):
            check(words_of(found[1]))
        else:
            assert block.mark or is_checked(command), f"{command}: say before the block why no test runs it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_sentences_name_exists(page: Path):
    for command in in_prose(page):
        words = [{"N": "1", "COMMAND": "run", "K": "3", "S": "2"}.get(word, word) for word in words_of(command)[1:]]
        try:
            called(words)
        except Exception as error:
            if not str(error).startswith("Missing parameter"):  # a command may be named without what it takes
                raise


def test_a_mark_has_a_reason_or_a_test_that_is_there():
    for block in COMMANDS:
        match = re.fullmatch(r"(not run): (.{10,})|run by (tests/[\w/]+\.py)", block.mark)
        assert match or not block.mark, f"{block.where}: {block.mark}"
        assert not (match and match[3]) or (REPOSITORY / match[3]).is_file(), f"{block.where}: {block.mark}"


def test_reasons_name_tests_that_are_there_and_nothing_that_is_run():
    for name, reason in NOT_RUN.items():
        assert (path := re.search(r"tests/[\w/*.]+", reason)), name
        assert list(REPOSITORY.glob(path[0])), reason
        assert name not in READS
    assert {command.split()[0] for command in READS} | set(NOT_RUN) == set(PROGRAM.commands)


@pytest.fixture
def documented_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path / "home").prepare()
    home.prepare_store()
    monkeypatch.setenv("SEISWEEP_HOME", str(home.root))
    write_documented(home)
    describe(home, "distillation-1")  # `pack` wants a sweep as the engine leaves it
    return home


def is_run(command: str) -> bool:
    """Whether it reads what `documented_home` has; not of a cluster, a server, another sweep, another data set."""
    called = " ".join(words_of(command)[1:])
    without = ("--profile", "http:", "first", "quakes", "data/nrca")
    return called.startswith(READS) and not any(word in called for word in without)


def test_what_reads_is_run_as_it_stands_there(documented_home, tmp_path, monkeypatch, capfd):
    write_local_earthquakes(tmp_path / "my_records", num_events=12, seed=0)
    lines = [line for block in COMMANDS if not block.mark for line in block.commands if line.startswith(("s", "S"))]
    run = [line for line in dict.fromkeys(lines) if is_run(line)]
    for line in run:
        with monkeypatch.context() as patch:
            for variable in line.partition("seisweep ")[0].split():
                patch.setenv(*variable.split("="))
            assert run_program(words_of(line)[1:]) == 0, f"{line}\n{capfd.readouterr().err}"
    assert {name for name in READS if any(f"seisweep {name}" in line for line in run)} == set(READS)
    assert (tmp_path / "theirs/sweeps/distillation-1").is_dir()
