"""A trained picker as a model of SeisBench: in one line here, and from its folder alone where seisweep is not."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import seisweep
from promotable import picks_of, record, write_waveforms
from seisbench.util import PickList
from seisweep import say
from seisweep.cli import run
from seisweep.settings.home import Home

from trainables.export.artifacts import FP32_FILE
from trainables.export.picker_folder import write_picker_folder
from trainables.models.xiaonet import XiaoNet
from trainables.run import ARTIFACTS

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _says_everything(monkeypatch):
    monkeypatch.setattr(say, "_said", set())


def test_a_sweep_a_trial_a_folder_a_registered_model_are_one_line_each(own, student, capsys):
    write_waveforms(Path("day.mseed"))
    pair = student[1].checkpoint / ARTIFACTS / "xiaonet"
    expected = XiaoNet.load(pair, version_str="1")
    assert picks_of(expected)
    assert type(model := seisweep.load_picker("picker")) is XiaoNet
    assert not model.training
    assert model.default_args == expected.default_args
    assert {"P_threshold", "S_threshold"} <= set(model.default_args)
    assert "picker: trial 0, its best, as none is promoted" in capsys.readouterr().err
    assert run(["promote", "picker", "--trial", "1"]) == 0
    capsys.readouterr()
    for word in ("picker", "picker/0", "models:/picker@champion", str(own.pickers_dir / "picker"), str(pair)):
        assert picks_of(seisweep.load_picker(word)) == picks_of(expected), word
    assert capsys.readouterr().err.splitlines() == ["picker: trial 1, the promoted one"]


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/promote-and-share.md"])
def test_the_snippet_of_a_page_runs_as_written(page, own, student):
    from search_spaces.sweep import single_run

    config, done = student
    trials = [("done", done.checkpoint, config.model_dump(mode="json"), done.reports[-1])]
    record(own, single_run("distillation", {}, {"dev/f1": "max"}), "distillation-1", {}, trials)
    write_waveforms(Path("day.mseed"))
    (code,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", (REPOSITORY / page).read_text(), re.DOTALL)
        if "load_picker(" in block
    ]
    names: dict[str, object] = {}
    exec(code, names)  # as a reader does
    assert isinstance(names["model"], XiaoNet)
    assert isinstance(names["picks"], PickList)
    if "curves = " in code:
        assert [trace.stats.channel for trace in names["curves"]] == ["XiaoNet_P", "XiaoNet_S", "XiaoNet_N"]


WITHOUT_SEISWEEP = """
import sys
for name in ("seisweep", "search_spaces", "trainables"):
    sys.modules[name] = None  # an import of it fails
sys.path.insert(0, "")
{code}
for pick in model.classify(obspy.read("day.mseed"), P_threshold=0.01, S_threshold=0.01).picks:
    print(pick)
"""


@pytest.mark.integration
def test_a_colleague_with_seisbench_alone_loads_the_folder_as_its_readme_says(own, student, tmp_path):
    assert run(["promote", "picker"]) == 0
    folder = shutil.copytree(own.pickers_dir / "picker", tmp_path / "sent")
    write_waveforms(folder / "day.mseed")
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert "from xiaonet import XiaoNet" in code
    script = WITHOUT_SEISWEEP.format(code=code)
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = XiaoNet.load(student[1].checkpoint / ARTIFACTS / "xiaonet", version_str="1")
    assert done.stdout.splitlines() == picks_of(expected, folder / "day.mseed")


@pytest.mark.parametrize("gone", ["xiaonet.pt.v1", "xiaonet.json.v1"])
def test_an_incomplete_folder_names_the_missing_file(own, gone, capsys):
    assert run(["promote", "picker"]) == 0
    folder = own.pickers_dir / "picker"
    (folder / gone).unlink()
    with pytest.raises(ValueError, match=rf"^the picker folder .*picker is incomplete: {gone} missing$"):
        seisweep.load_picker(str(folder))
    (folder / "model_int8.onnx").unlink()
    write_waveforms(Path("day.mseed"))
    capsys.readouterr()
    assert run(["pick", str(folder), "day.mseed"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "model_int8.onnx is missing, which model.json beside it describes" in err


def test_what_cannot_be_loaded_is_one_line(own, student, tmp_path):
    files = student[1].checkpoint / ARTIFACTS
    write_picker_folder(tmp_path / "older", files / FP32_FILE, {})
    for word, complaint in {
        str(tmp_path / "older"): "holds ONNX files and no xiaonet.json.v1",
        str(files / FP32_FILE): "is an ONNX file, but SeisBench needs PyTorch",
        str(tmp_path): "no weights for SeisBench in",
        "pickr": "did you mean picker",
        "models:/nothing@champion": "comes from no trial of a sweep",
    }.items():
        with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
            seisweep.load_picker(word)
        assert complaint in str(caught.value)


def test_a_home_that_cannot_be_written_still_knows_what_is_promoted(own: Home, capsys):
    assert run(["promote", "picker", "--trial", "1"]) == 0
    capsys.readouterr()
    from seisweep import results
    from seisweep.artifacts.seisbench_picker import promotion_of

    promotion = promotion_of(results.load("picker"))
    assert promotion is not None
    assert promotion.data.tags["trial"] == "1"
    assert promotion_of(results.load("encoder")) is None
    assert run(["sweeps", "picker", "--format", "json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert Path(facts["files"]["of the promoted picker:"], "pick.pyz").is_file()
