"""Pushing a picker folder to a hub and loading it from there, against a stand-in of the hub's interface."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import seisweep
from hub_server import FakeHub, serving
from promotable import picks_of, write_waveforms
from seisweep import say
from seisweep.artifacts.hub import without_own_paths
from seisweep.artifacts.weights import with_local_weights
from seisweep.cli import run
from seisweep.settings.paths import absolute
from seisweep.settings.profile import Profile

from trainables.models.xiaonet import XiaoNet
from trainables.run import ARTIFACTS

huggingface_hub = pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with serving(FakeHub()) as fake:
        monkeypatch.setattr(say, "_said", set())
        monkeypatch.setenv("HF_ENDPOINT", fake.address)
        monkeypatch.setenv("HF_TOKEN", fake.token)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        yield fake


def test_a_promoted_picker_goes_to_the_hub_and_comes_back_as_a_model_of_seisbench(own, student, hub, capsys):
    assert run(["promote", "picker", "--push", "lab/picker"]) == 0
    err = capsys.readouterr().err
    assert f"on the hub: {hub.address}/lab/picker" in err
    assert 'seisweep.load_picker("hf:lab/picker")' in err
    assert hub.private == {"lab/picker"}
    files = hub.repositories["lab/picker"]
    assert set(files) == {file.name for file in (own.pickers_dir / "picker").iterdir()}
    assert str(Path(student[0].data.dataset).parent).encode() not in b"".join(files.values()), "paths of this machine"
    assert b"library_name: seisbench" in files["README.md"]
    assert json.loads(files["model.json"])["card"]["test_openings"] == 1

    write_waveforms(Path("day.mseed"))
    files["evil.py"] = b"raise SystemExit('code of a stranger')"
    model = seisweep.load_picker("hf:lab/picker")
    assert picks_of(model) == picks_of(XiaoNet.load(student[1].checkpoint / ARTIFACTS / "xiaonet", version_str="1"))
    assert not list((own.cache_dir / "hub").rglob("*.py*")), "data alone are fetched"
    assert run(["pick", "hf:lab/picker", "day.mseed"]) == 0
    assert "hf:lab/picker model_int8.onnx" in capsys.readouterr().err
    assert picks_of(seisweep.load_picker(f"hf:lab/picker@{hub.commit_of('lab/picker')}"))


def test_what_is_promoted_is_pushed_without_opening_the_test_split_again(own, hub, capsys):
    assert run(["promote", "picker"]) == 0
    hub.refuses_commits = True
    capsys.readouterr()
    assert run(["promote", "picker", "--push", "me/picker"]) == 1
    err = capsys.readouterr().err
    assert "promoted, but not on the hub: --push me/picker: the token may not do that" in err
    assert "`seisweep promote picker --push me/picker` tries again" in err
    hub.refuses_commits = False
    hub.repositories["me/picker"] = {"model.json": b"{}", "older.onnx": b"", "notes.txt": b"kept"}
    assert run(["promote", "picker", "--push", "me/picker"]) == 0
    assert "picker is promoted: its picker folder goes to the hub as it is" in capsys.readouterr().err
    assert "model_int8.onnx" in hub.repositories["me/picker"]
    assert "older.onnx" not in hub.repositories["me/picker"]
    assert "notes.txt" in hub.repositories["me/picker"]

    (own.pickers_dir / "picker" / "xiaonet.pt.v1").unlink()
    hub.asked.clear()
    assert run(["promote", "picker", "--push", "me/picker"]) == 2
    err = capsys.readouterr().err
    assert err.strip().endswith(f"{own.pickers_dir / 'picker'} is incomplete: xiaonet.pt.v1 missing")
    assert len(err.splitlines()) == 1
    assert not any("commit" in one for one in hub.asked)


def test_a_folder_of_an_earlier_version_is_brought_up_on_its_way(own, hub):
    assert run(["promote", "picker"]) == 0
    folder = own.pickers_dir / "picker"
    told = json.loads((folder / "model.json").read_text())
    del told["files"]
    (folder / "model.json").write_text(json.dumps(told))
    for name in ("README.md", "xiaonet.py", "xiaonet.json.v1", "xiaonet.pt.v1", "model_fp32.onnx"):
        (folder / name).unlink()
    assert run(["promote", "picker", "--push", "lab/picker"]) == 0
    its = {"model_int8.onnx", "model_fp32.onnx", "model.json", "pick.pyz", "README.md"}
    assert set(hub.repositories["lab/picker"]) == its | {"xiaonet.py", "xiaonet.json.v1", "xiaonet.pt.v1"}
    card = json.loads(hub.repositories["lab/picker"]["model.json"])["card"]
    assert (card["metrics"], card["test_openings"]) == (told["card"]["metrics"], 1)
    assert b"## Limits" in hub.repositories["lab/picker"]["README.md"]
    assert {file.name for file in folder.iterdir()} == {"model_int8.onnx", "model.json", "pick.pyz"}, "left as it is"


@pytest.mark.parametrize(
    ("repository", "token", "complaint"),
    [
        ("lab/picker", None, "--push lab/picker: no token for http://127.0.0.1"),
        ("lab/picker", "hf_wrong", "--push lab/picker: the token is not accepted"),
        ("others/picker", "hf_right", "--push others/picker: the token is only for me, lab"),
        ("lab/thesis", "hf_right", "this repository exists and holds no picker"),
        ("lab", "hf_right", "--push lab: a repository of a hub is ORG/REPO"),
    ],
)
def test_a_hub_that_cannot_be_pushed_to_is_one_line_before_work(
    own, hub, capsys, monkeypatch, repository, token, complaint
):
    hub.repositories["lab/thesis"] = {"thesis.tex": b""}
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    assert run(["promote", "picker", "--push", repository]) == 2
    err = capsys.readouterr().err
    assert complaint in err
    assert len(err.splitlines()) == 1
    assert not (own.pickers_dir / "picker").exists(), "the test split is still sealed"


def test_what_is_not_on_the_hub_is_one_line(own, hub, capsys):
    for word, complaint in {
        "hf:lab/nothing": "hf:lab/nothing: there is no such repository",
        "hf:lab": "a repository of a hub is ORG/REPO",
    }.items():
        with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
            seisweep.load_picker(word)
        assert complaint in str(caught.value)
    hub.repositories["lab/empty"] = {"README.md": b""}
    assert run(["pick", "hf:lab/empty", "."]) == 2
    assert capsys.readouterr().err.startswith(
        "seisweep: hf:lab/empty: this repository holds no picker; looked for *.json"
    )


def test_a_teacher_may_lie_on_a_hub(own, student, hub):
    from search_spaces.sweep import single_run

    files = student[1].checkpoint / ARTIFACTS
    hub.repositories["lab/teacher"] = {file.name: file.read_bytes() for file in files.glob("xiaonet.*")}
    sweep = single_run("distillation", {"teacher.weights": "hf:lab/teacher"})
    changed, facts = with_local_weights(sweep, Profile(name="local"), own)
    weights = Path(changed.base["teacher.weights"])
    assert weights.name == "xiaonet"
    assert weights.with_name("xiaonet.pt.v1").read_bytes() == (files / "xiaonet.pt.v1").read_bytes()
    assert not weights.with_name("xiaonet.pt.v1").is_symlink(), "it goes along with the home"
    assert facts == {"weights_from": "hf:lab/teacher"}
    assert absolute("teacher.weights", "hf:lab/teacher") == "hf:lab/teacher"
    nothing = single_run("distillation", {"teacher.weights": "hf:lab/nothing"})
    with pytest.raises(ValueError, match=r"^teacher\.weights=hf:lab/nothing: there is no such repository"):
        with_local_weights(nothing, Profile(name="local"), own)


def test_classifiers_and_encoders_are_not_pushed(own, hub, capsys):
    assert run(["promote", "encoder", "--push", "lab/encoder"]) == 2
    assert "encoder trained pretraining: only pickers can be pushed" in capsys.readouterr().err


def test_of_paths_the_last_part_stays(tmp_path):
    text = '{"dataset": "/home/ann/data/quakes", "doi": "10.1093/gji/ggy423", "url": "https://a.org/b/c", "f": "file:///mnt/x/y"}'
    (tmp_path / "model.json").write_text(text)
    without_own_paths(tmp_path / "model.json")
    assert (tmp_path / "model.json").read_text() == text.replace("/home/ann/data/quakes", "quakes").replace(
        "file:///mnt/x/y", "y"
    )
