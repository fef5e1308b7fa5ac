"""Sweeps that are run from Python: in this process on a Ray that is there, from a script, in a kernel that is
interrupted."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest
import seisweep
from seisweep.results import load
from seisweep.settings.home import Home

from search_spaces.sweep import Sweep
from trainables.data.synthetic import write_local_earthquakes

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = REPOSITORY / "docs/how-to/from-python.md"
TOY = Sweep(name="toy", trainable="toy_trainable:train", space="toy_trainable:space", samples=2, scheduler="none")


def environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "SEISWEEP_DEBUG")}
    path = [str(REPOSITORY / "tests"), *sys.path]
    return kept | {"SEISWEEP_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path)}


def test_a_ray_that_is_there_is_used_and_left_also_after_a_sweep_that_failed(local_ray, home, capsys):
    import ray

    short = {"training.epochs": 1}
    with pytest.raises(seisweep.SweepError, match="toy-1 failed: none of its 2 trials has finished"):
        seisweep.run(TOY, settings=short | {"fail_at": 1})
    assert list(seisweep.load("toy-1").trials["reason"]) == 2 * ["RuntimeError: the toy was told to fail"]
    done = seisweep.run(TOY, settings=short | {"x": (0.2, 0.4)})
    assert (done.name, list(done.trials["state"])) == ("toy-2", ["done", "done"])
    assert done.trials["x"].between(0.2, 0.4).all()
    one = seisweep.train(TOY.trainable, settings={"x": 0.3, "training": {"epochs": 2}}, seed=7)
    assert one.config(0)["seed"] == 7
    assert one.trials.loc[0, "epoch"] == 2
    assert ray.is_initialized()
    assert capsys.readouterr().out == "", "what is not asked for is not printed"


def test_the_snippet_of_the_page_runs_as_a_script_and_gives_the_process_back(tmp_path):
    """Two sessions in a row, each with a Ray of its own."""
    write_local_earthquakes(tmp_path / "my_records", num_events=12, seed=0)
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    before = """
        import logging, os, signal, sys
        def mine(number, frame): ...
        signal.signal(signal.SIGTERM, mine)
        logging.captureWarnings(True)
        def of_the_process():
            return [
                *(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)),
                os.getcwd(), sys.stdout, sys.stderr, os.umask(0o022), os.environ.get("PYTHONPATH"),
                logging.root.level, logging.root.handlers[:], __import__("warnings").showwarning,
            ]
        found = of_the_process()
    """
    after = """
        import ray, threading
        assert of_the_process() == found, (of_the_process(), found)
        assert not ray.is_initialized()
        assert [thread for thread in threading.enumerate() if not thread.daemon] == [threading.main_thread()]
        print(len(sweep.trials), sweep.name)
    """
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(before) + snippet + textwrap.dedent(after))
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        env=environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "4 picking-1"
    assert "picking-1 finished: 3 of 3 " in done.stderr
    assert "picking-1 finished: 4 of 4 " in done.stderr
    for noise in ("Traceback", "Warning", "WARNING", "ERROR", "INFO"):
        assert noise not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "my_records", "script.py"]


CELLS = (
    "import seisweep, os\nfrom search_spaces.sweep import Sweep\nsweep = Sweep(name='toy', "
    "trainable='toy_trainable:train', space='toy_trainable:space', samples=3, scheduler='none')\nprint(os.getpid())",
    "seisweep.run(sweep, settings={'sleep_s': 0.4, 'training.epochs': 4, 'marks': MARKS}, name='toy', concurrency=1)",
    "done = seisweep.resume('toy')\nprint(os.getpid(), list(done.trials['state']), list(done.trials['epoch']))",
)


def test_an_interrupted_kernel_goes_on_with_the_sweep_and_nothing_is_lost_or_twice(tmp_path):
    pytest.importorskip("ipykernel", reason="notebooks want a kernel: pip install -e .[dev]")
    import nbformat
    from nbclient import NotebookClient

    home, marks = Home(tmp_path / "home"), tmp_path / "marks"
    marks.mkdir()
    cells = [nbformat.v4.new_code_cell(cell.replace("MARKS", repr(str(marks)))) for cell in CELLS]
    client = NotebookClient(
        nbformat.v4.new_notebook(cells=cells),
        timeout=600,
        startup_timeout=300,
        kernel_name="python3",
        allow_errors=True,
    )

    async def play() -> None:
        running = asyncio.ensure_future(client.async_execute(env=environment(home.root)))
        screen = home.sweep_dir("toy") / "screen.log"
        while not running.done() and not (screen.exists() and "trial 1 running" in screen.read_text()):
            await asyncio.sleep(0.1)
        while not running.done() and not (len(marked := sorted(marks.iterdir())) == 2 and _epochs(marked) >= 6):
            await asyncio.sleep(0.05)
        await client.km.interrupt_kernel()
        await running

    asyncio.run(play())
    first, interrupted, resumed = cells
    error = next(output for output in interrupted.outputs if output["output_type"] == "error")
    line = 'toy was interrupted and nothing is lost; go on with: seisweep.resume("toy")'
    assert (error["ename"], error["traceback"]) == ("SweepInterrupt", [f"SweepInterrupt: {line}"])
    shown = [output for output in interrupted.outputs if output["output_type"] != "error"]
    assert len(shown) == 1, "one output, drawn again and again"
    assert "toy interrupted: 1 of 3 done" in shown[0]["data"]["text/plain"]
    assert "<table>" in shown[0]["data"]["text/html"]
    pid = first.outputs[0]["text"].strip()
    said = next(output["text"] for output in resumed.outputs if output.get("name") == "stdout")
    assert said == f"{pid} ['done', 'done', 'done'] [4, 4, 4]\n", "in the same kernel"
    assert not [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]
    trained = [Counter(map(int, file.read_text().split())) for file in marks.iterdir()]
    assert [set(epochs) for epochs in trained] == 3 * [set(range(1, 5))]
    assert sum(sum(epochs.values()) for epochs in trained) <= 3 * 4 + 1, "at most the epoch under way is trained again"
    curves = load("toy", home.mlflow_uri).curves("dev/f1")
    assert curves.index.is_unique
    assert len(curves) == 3 * 4


def _epochs(files: list[Path]) -> int:
    return sum(len(file.read_text().split()) for file in files)
