"""The names of libraries that are not public: an upgrade that removes one says so here, in one place."""

from __future__ import annotations

import ast
import importlib
import sqlite3
from pathlib import Path

import pytest
from seisweep.private import mlflow, optuna, ray, ray_placing

from trainables.models import seisbench_private

REPOSITORY = Path(__file__).resolve().parents[3]
FILES = {"Ray": ray, "Ray, of places": ray_placing, "Optuna": optuna, "MLflow": mlflow, "SeisBench": seisbench_private}
USES = [(library, name, purpose) for library, file in FILES.items() for name, purpose in file.USES.items()]
PRIVATE = {
    *("_brackets", "_trial_info", "_reduction_factor", "_connect_and_get_accessor", "_trial_id"),
    *("_annotate_args", "_model_path", "temporary_state", "ConsolePopen"),
}
LIBRARIES = ("ray", "optuna", "mlflow", "seisbench")


def find(name: str) -> None:
    """Raises ImportError or AttributeError where there is no such name."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for part in parts[end:]:
            annotated = getattr(found, "__annotations__", {}) | getattr(found, "__dataclass_fields__", {})
            slots = getattr(found, "DESCRIPTOR", None)  # a message of protobuf
            in_message = part in getattr(slots, "fields_by_name", {})
            if in_message or part in annotated:
                return
            found = getattr(found, part)
        return
    raise ImportError(name)


@pytest.mark.parametrize(("library", "name", "purpose"), USES, ids=[name for _, name, _ in USES])
def test_a_name_that_an_upgrade_removes_is_missed_here(library, name, purpose):
    if name == "optuna.trial.FrozenTrial._trial_id":  # set when one is made
        import optuna as library_itself

        study = library_itself.create_study()
        study.add_trial(library_itself.trial.create_trial(value=0))
        assert hasattr(study.trials[0], "_trial_id"), f"{library} has no {name} any more: {purpose}"
        return
    try:
        find(name)
    except (ImportError, AttributeError):
        pytest.fail(f"{library} has no {name} any more; without it this does not work: {purpose}")


def test_the_search_for_a_name_can_fail():
    for name in ("ray._private.services.NoSuchThing", "no_such_library.name", "ray.tune.experiment.Trial.no_such"):
        with pytest.raises((ImportError, AttributeError)):
            find(name)


def test_tables_of_mlflows_database_are_as_results_are_read(empty_store):
    connection = sqlite3.connect(empty_store)
    for table, columns in [*mlflow.TABLES.items(), *mlflow.PLACES.items()]:
        there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        assert set(columns) <= there, f"MLflow's table {table} has no {set(columns) - there} any more"


def test_only_these_files_take_private_names():
    own = {file.__file__ for file in FILES.values()}
    found = []
    for room in ("platform", "trainables", "search_spaces"):
        for file in (REPOSITORY / room).rglob("*.py"):
            if str(file) in own:
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                names = []
                if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in LIBRARIES:
                    names = [*node.module.split("."), *(alias.name for alias in node.names)]
                    names = [name for name in names if name.startswith("_")]
                elif isinstance(node, ast.Attribute) and node.attr in PRIVATE:
                    names = [node.attr]
                found += [f"{file.relative_to(REPOSITORY)}:{node.lineno} {name}" for name in names]
    of_seisbench = ("trainables/models/xiaonet.py", "trainables/models/v5b.py")  # models of its kind, a file alone each
    assert [line for line in found if not line.startswith(of_seisbench)] == []
