from __future__ import annotations

import pickle

import pytest
import torch
from seisbench.models import PhaseNet

from trainables.models.weights import find_pair, load_weights, weights_digest
from trainables.models.xiaonet import XiaoNet


@pytest.fixture
def saved(tmp_path):
    model = XiaoNet(base_channels=4)
    model.save(tmp_path / "picker", version_str="1")
    return tmp_path / "picker", model


@pytest.mark.parametrize("suffix", ["", ".pt.v1", ".json.v1"])
def test_either_half_or_the_stem_names_a_pair(saved, suffix):
    stem, model = saved
    again = load_weights(XiaoNet, f"{stem}{suffix}")
    assert weights_digest(again) == weights_digest(model)
    assert not again.training


def test_a_pair_without_version_and_a_stem_with_dots(tmp_path):
    stem = tmp_path / "picker.base4"
    XiaoNet(base_channels=4).save(stem)
    assert find_pair(str(stem)) == (stem, None)
    assert find_pair(f"{stem}.pt") == (stem, None)


def test_a_missing_file_says_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.json\.v1 and .*nowhere\.pt\.v1"):
        load_weights(XiaoNet, str(tmp_path / "nowhere"))


def test_a_missing_file_with_its_ending_is_looked_for_under_its_own_name(tmp_path):
    for name, wanted in [("no.pt", r"no\.json and .*no\.pt \("), ("no.pt.v2", r"no\.json\.v2 and .*no\.pt\.v2 \(")]:
        with pytest.raises(ValueError, match=wanted):
            load_weights(XiaoNet, str(tmp_path / name))


def test_weights_of_another_model_are_named(saved):
    stem, _ = saved
    with pytest.raises(ValueError, match=r"^teacher\.weights=.*picker\.pt\.v1: not the weights of a PhaseNet") as error:
        load_weights(PhaseNet, str(stem), field="teacher.weights")
    assert "arguments in its description are those of another model" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_pickle_with_code_is_refused_and_does_not_run(saved, tmp_path):
    stem, _ = saved

    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    stem.with_name("picker.pt.v1").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(ValueError, match=r"not the weights of a XiaoNet \(the file holds more than tensors"):
        load_weights(XiaoNet, str(stem))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("left_bytes", [0, 100, 5000])
def test_a_file_that_was_cut_short_is_called_so(saved, left_bytes):
    stem, _ = saved
    file = stem.with_name("picker.pt.v1")
    file.write_bytes(file.read_bytes()[:left_bytes])
    with pytest.raises(ValueError, match=r"not the weights of a XiaoNet \(the file is damaged or was cut short\)"):
        load_weights(XiaoNet, str(stem))


def test_a_name_that_nobody_knows_asks_no_server(monkeypatch):
    monkeypatch.setattr(PhaseNet, "from_pretrained", lambda *_: pytest.fail("this asks the server"))
    with pytest.raises(
        ValueError, match=r"^teacher\.weights=sted: no PhaseNet weights .* by that name \(.*stead"
    ) as error:
        load_weights(PhaseNet, "sted", field="teacher.weights")
    assert "a newer name is written seisbench:sted" in str(error.value)


@pytest.mark.parametrize("name", ["volpick", "seisbench:newer"])
def test_a_download_is_said_before_it_begins(name, monkeypatch, capsys):
    said = []

    def unreachable(*args, **kwargs):
        said.append(capsys.readouterr().err)
        raise ConnectionError("no network")

    monkeypatch.setattr(PhaseNet, "from_pretrained", unreachable)
    with pytest.raises(ValueError, match=f"^{name}: cannot be downloaded"):
        load_weights(PhaseNet, name)
    bare = name.removeprefix("seisbench:")
    assert said == [f"{bare}: these weights are not on this machine; SeisBench downloads them\n"]


def test_a_name_that_cannot_be_downloaded_says_where_to_put_the_files(monkeypatch):
    def unreachable(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr(PhaseNet, "from_pretrained", unreachable)
    with pytest.raises(ValueError, match=r"stead\.json\.v1 and stead\.pt\.v1 into .*phasenet"):
        load_weights(PhaseNet, "stead", field="teacher.weights")


def test_digest_changes_with_one_number():
    model = XiaoNet(base_channels=4)
    before = weights_digest(model)
    with torch.no_grad():
        model.head.bias[0] += 1e-3
    assert weights_digest(model) != before
