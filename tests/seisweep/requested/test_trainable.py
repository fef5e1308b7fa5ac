"""From a name to a training function, its configuration and its checks."""

from __future__ import annotations

import re

import pytest
from seisweep.requested.trainable import Trainable
from toy_trainable import ToyConfig


def test_a_users_own_by_module_and_attribute():
    toy = Trainable.find("toy_trainable:train")
    assert toy.config_class is ToyConfig
    assert toy.preflight is not None
    assert toy.dump({"training.epochs": 9})["training"]["epochs"] == 9
    assert toy.load(toy.dump({"x": 0.25})) == ToyConfig(x=0.25)


def test_a_plain_dict_needs_no_model():
    plain = Trainable.find("toy_trainable:plain")
    assert plain.config_class is None
    assert plain.dump({"x": 1, "loss.alpha": 2}) == {"x": 1, "loss": {"alpha": 2}}


@pytest.mark.parametrize("name", ["distillation", "picking"])
def test_own_trainables_by_their_short_name(name):
    trainable = Trainable.find(name)
    assert trainable.config_class is not None
    assert trainable.has("data.cache_dir")
    assert trainable.has("seed")
    assert not trainable.has("data.cash_dir")
    assert not trainable.has("nothing")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("distilation", "no trainable named distilation; did you mean distillation?"),
        ("no_such_module:train", "trainable no_such_module:train cannot be loaded"),
        ("toy_trainable:no_such", "cannot be loaded: module 'toy_trainable' has no attribute"),
        ("toy_trainable:ARTIFACTS", "is not a function, but str"),
    ],
)
def test_names_that_lead_nowhere(name, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        Trainable.find(name)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"base": {"y": 1}}, "unknown key y"),
        ({"base": {"x": "wide"}}, 'x = "wide" is not allowed: a number'),
        ({"vary": {"sice": [1, 2]}}, "unknown key sice; did you mean size?"),
        ({"vary": {"size": [1, "two"]}}, 'size = "two" is not allowed'),
    ],
)
def test_settings_that_are_not_allowed(toy_sweep, fields, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        Trainable.find("toy_trainable:train").check(toy_sweep(**fields))


@pytest.mark.parametrize("key", ["data.dataset", "data.streams"])
def test_waveforms_that_are_varied_need_no_other_ones(toy_sweep, key):
    sweep = toy_sweep(trainable="pretraining", space=None, vary={key: ["one", "two"]})
    Trainable.find("pretraining").check(sweep)
    with pytest.raises(ValueError, match=r"data: no waveforms: give data.dataset"):
        Trainable.find("pretraining").check(toy_sweep(trainable="pretraining", space=None))


def test_a_required_setting_may_be_varied(toy_sweep):
    """Nothing else says which data set the checks should look at: it is each of them."""
    distillation = Trainable.find("distillation")
    sweep = toy_sweep(trainable="distillation", space=None, vary={"data.dataset": ["one", "two"]})
    assert distillation.defaults(sweep)["data.dataset"] == "one"
    distillation.check(sweep)


def test_facts_come_from_every_named_thing(toy_sweep, monkeypatch):
    import toy_trainable

    seen = []
    monkeypatch.setattr(toy_trainable, "preflight", _noting(seen))
    toy = Trainable.find("toy_trainable:train")
    facts = toy.facts(toy_sweep(base={"label": "a"}))
    assert facts == {"data_fingerprint": "of a"}
    facts = toy.facts(toy_sweep(vary={"label": ["b", "c"], "size": [1, 2]}))
    assert seen == ["a", "none", "b", "c"]


def _noting(seen):
    def preflight(config: ToyConfig) -> dict[str, str]:
        seen.append(config.label)
        return {"data_fingerprint": f"of {config.label}"}

    return preflight


def test_a_default_teacher_is_not_asked_for_where_the_teachers_are_varied(earthquakes, teacher_file, monkeypatch):
    """`stead`, the default, would be fetched."""
    from seisbench.models import PhaseNet

    from search_spaces.sweep import Choice, single_run

    monkeypatch.setattr(PhaseNet, "from_pretrained", lambda *given, **named: pytest.fail("weights were fetched"))
    sweep = single_run("distillation", {"data.dataset": str(earthquakes)})
    several = Choice(values=[[str(teacher_file)], [str(teacher_file), "/no/such"]])
    varied = sweep.changed(vary={"teachers": several}, samples=2)
    with pytest.raises(ValueError, match="teachers=/no/such: no such weights"):
        Trainable.find("distillation").facts(varied)
    varied = sweep.changed(vary={"teachers": Choice(values=[[str(teacher_file)]])})
    assert Trainable.find("distillation").facts(varied)["teacher"] == str(teacher_file)


@pytest.mark.parametrize(
    ("sizes", "other"),
    [
        ({"vary": {"student.base_channels": [4, 6]}}, "6"),
        ({"vary": {"student.base_channels": {"low": 4, "high": 8}}}, "8"),
        ({"vary": {"student.pooling": [4, 2], "student.base_channels": [4]}}, None),
        ({"vary": {"student.base_channels": [4]}}, ""),
    ],
)
def test_every_size_of_a_student_that_goes_on_is_checked(tiny, teacher_file, tmp_path, sizes, other):
    """Also where nothing else is named, and the default, which nobody asked for, would not fit."""
    from search_spaces.sweep import Sweep
    from trainables.models.xiaonet import XiaoNet

    XiaoNet(base_channels=4, pooling=4).save(tmp_path / "earlier", version_str="1")
    base = {"data.dataset": tiny["data"]["dataset"], "data.cache_dir": tiny["data"]["cache_dir"]}
    base |= {"teacher.weights": str(teacher_file), "student.pretrained": str(tmp_path / "earlier")}
    base |= {} if "student.pooling" in sizes["vary"] else {"student.pooling": 4}
    sweep = Sweep(name="goes-on", trainable="distillation", base=base, **sizes)
    if other == "":
        assert Trainable.find("distillation").facts(sweep)["pretrained"] == str(tmp_path / "earlier.pt.v1")
        return
    setting = f"student.base_channels={other}" if other else "student.pooling=2"
    with pytest.raises(ValueError, match=f"weights of another student than {setting}; they need "):
        Trainable.find("distillation").facts(sweep)
