"""What a node says of itself, and what it names that a trial would lack there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import ray
from seisweep.settings.storage import Storage
from seisweep.workers import node_check
from seisweep.workers.node_check import examine, on_this_node, use_folder, use_storage

from search_spaces.sweep import Sweep
from trainables import fetched

PROBE = ".seisweep-check-1"


def asked(**fields: object) -> dict[str, object]:
    return {"sweep": None, "storage": None, "probe": PROBE, "cache": ""} | fields


def test_a_sound_node_has_no_problems_and_says_what_it_is(toy_sweep, tmp_path):
    (tmp_path / PROBE).write_text(PROBE)
    sweep = toy_sweep().model_dump(mode="json")
    answer = on_this_node(asked(sweep=sweep, storage={"place": str(tmp_path)}, cache=str(tmp_path / "not" / "yet")))
    assert answer["problems"] == {}
    assert answer["facts"] == {"data_fingerprint": "toy"}
    assert answer["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert [file.name for file in tmp_path.iterdir()] == [PROBE], "something stays"


@pytest.mark.parametrize(
    ("hidden", "reason"),
    [
        ("seisweep", "seisweep is not installed there"),
        ("torch", "seisweep cannot be imported there: .*torch.*"),
    ],
)
def test_a_node_without_seisweep_says_so(tmp_path, hidden, reason):
    """Its task travels by value: this process could not even load a function of seisweep."""
    ray.cloudpickle.register_pickle_by_value(node_check)
    (tmp_path / "task").write_bytes(ray.cloudpickle.dumps(on_this_node))
    code = (
        f"import sys; sys.modules[{hidden!r}] = None\n"
        "from pathlib import Path\nfrom ray import cloudpickle\n"
        f"task = cloudpickle.loads(Path({str(tmp_path / 'task')!r}).read_bytes())\n"
        "print(task({})['problems']['seisweep'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(reason, done.stdout.strip()), done.stdout


def test_data_of_an_address_come_from_the_server_and_into_the_folder_that_trials_have(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(fetched, "_cache", fetched._Cache())
    sweep = Sweep(name="s", trainable="distillation", base={"data.dataset": "s3://lab/x"})
    s3.put("x/metadata.csv", b"trace_name\n")
    answer = examine(asked(sweep=sweep.model_dump(mode="json"), fetching=(str(tmp_path), s3.endpoint)))
    assert "data.dataset=s3://lab/x" in answer["problems"]["data"], "there is half a data set"
    assert len(list(tmp_path.rglob("metadata.csv"))) == 1


def test_a_module_that_is_missing_is_named(toy_sweep):
    answer = examine(asked(sweep=toy_sweep(trainable="no_such_module:train").model_dump(mode="json")))
    assert answer["problems"] == {
        "data": "trainable no_such_module:train cannot be loaded: No module named 'no_such_module'"
    }


def test_data_that_are_missing_are_named_as_the_preflight_names_them(toy_sweep):
    answer = examine(asked(sweep=toy_sweep(base={"bad_x": 2.0}).model_dump(mode="json")))
    assert answer["problems"] == {"data": "bad_x = 2.0: the toy's data is not there"}


@pytest.mark.parametrize("there", [None, "of another driver"])
def test_a_storage_that_is_another_folder_there_is_told_from_the_drivers(tmp_path, there):
    if there:
        (tmp_path / PROBE).write_text(there)
    with pytest.raises(
        ValueError, match=f"{tmp_path} is not the driver's there: storage_path must be a folder that all"
    ):
        use_storage(Storage(str(tmp_path)), PROBE)


def test_a_storage_that_cannot_be_written_is_a_problem(tmp_path, monkeypatch):
    class ReadOnly:
        def get_file_info(self, path: str) -> None: ...

        def open_input_stream(self, path: str):
            return (tmp_path / Path(path).name).open("rb")

        def open_output_stream(self, path: str):
            raise PermissionError(13, "Permission denied", path)

    (tmp_path / PROBE).write_text(PROBE)
    monkeypatch.setattr(Storage, "at", lambda self, place, quick: (ReadOnly(), place))
    answer = examine(asked(storage={"place": str(tmp_path)}))
    assert answer["problems"]["storage"].startswith("PermissionError: [Errno 13] Permission denied: '")


def test_a_cache_below_a_file_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        use_folder(tmp_path / "file" / "cache")


def test_other_code_has_another_digest(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("1")
    monkeypatch.setattr(node_check, "_folders", lambda package: [tmp_path])
    before = node_check.code_digest()
    (tmp_path / "notes.txt").write_text("no code")
    assert node_check.code_digest() == before
    (tmp_path / "a.py").write_text("2")
    assert node_check.code_digest() != before
