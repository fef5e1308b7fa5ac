"""What can be set is said from the fields themselves, and what a sweep searches from its space."""

from __future__ import annotations

import pytest
from seisweep.requested.explained import REQUIRED, explained, matching, what_is
from seisweep.requested.sweep import narrow
from seisweep.requested.trainable import Trainable
from seisweep.settings.fields import known_keys
from seisweep.settings.overrides import parse_overrides

from search_spaces.named import NAMED, named_sweep
from search_spaces.sweep import single_run


def by_key(sweep):
    return {one.key: one for one in explained(sweep)}


@pytest.mark.parametrize("name", NAMED)
def test_every_setting_of_every_sweep_has_a_meaning(name):
    found = explained(named_sweep(name))
    config = Trainable.find(named_sweep(name).trainable).config_class
    assert config is not None
    assert [one.key for one in found] == known_keys(config)
    assert [one.key for one in found if not one.meaning] == []


def test_a_setting_is_said_with_default_range_and_where_it_is_searched():
    alpha = by_key(named_sweep("distillation"))["loss.alpha"]
    assert (alpha.default, alpha.takes) == ("0.5", "a number, at least 0, at most 1")
    assert alpha.searched == "0 .. 1"
    assert alpha.meaning == "Share of the teacher's loss; the loss on the labels has the share 1 - alpha."
    assert by_key(single_run("distillation", {}))["loss.alpha"].searched == ""


def test_units_stand_beside_numbers():
    found = by_key(named_sweep("distillation"))
    assert (found["data.sigma_samples"].default, found["data.sigma_samples"].unit) == ("30", "samples")
    assert found["picks.tolerance_s"].unit == "s"
    assert found["training.epochs"].unit == "epochs"
    assert found["training.batch_size"].unit == ""


def test_what_must_be_given_and_what_is_none():
    found = by_key(named_sweep("distillation"))
    assert found["data.dataset"].default == REQUIRED
    assert found["data.cache_dir"].default == "none"
    assert found["export.enabled"].default == "true"


def test_what_a_sweep_has_instead_of_the_default_is_said():
    assert by_key(named_sweep("picking"))["model.architecture"].fixed == "xiaonet"
    narrowed = narrow(named_sweep("distillation"), parse_overrides(["loss.alpha=0.3", "student.pooling=4,2"]), {})
    found = by_key(narrowed)
    assert (found["loss.alpha"].searched, found["loss.alpha"].fixed) == ("", "0.3")
    assert found["student.pooling"].searched == "4 or 2"


def test_a_key_or_a_part_of_some_picks_them():
    found = explained(named_sweep("distillation"))
    assert [one.key for one in matching(found, "loss.alpha")] == ["loss.alpha"]
    assert {one.key for one in matching(found, "loss.")} == {"loss.alpha", "loss.temperature"}
    assert "training.learning_rate" in {one.key for one in matching(found, "RATE")}


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("alhpa", "loss.alpha"), ("learning_rat3", "training.learning_rate"), ("dat.dataset", "data.dataset")],
)
def test_an_unknown_key_gets_the_nearest(word, nearest):
    with pytest.raises(ValueError, match=rf"unknown key {word}; did you mean {nearest}"):
        matching(explained(named_sweep("distillation")), word)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("distilation", "no sweep or trainable named distilation; did you mean distillation"),
        ("no_module:train", "no_module"),
    ],
)
def test_an_unknown_name_is_one_line(name, line):
    with pytest.raises(ValueError, match=line):
        explained(what_is(name))


OWN = """
from pydantic import Field

from trainables.config import Config


class Own(Config):
    rate: float = 0.1
    '''How fast.'''

    older: int = Field(0, deprecated=True)
    '''No longer.'''


def train(config: Own, run) -> None: ...


def plain(config, run) -> None: ...
"""


def test_a_trainable_and_a_users_own_have_settings_too(tmp_path, monkeypatch):
    (tmp_path / "of_a_user.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    assert "freezing.schedule" in by_key(what_is("finetuning"))
    with pytest.raises(ValueError, match="takes a plain dict"):
        explained(what_is("of_a_user:plain"))
    found = by_key(what_is("of_a_user:train"))
    assert list(found) == ["rate"], "a deprecated one is not offered"
