"""Names, texts and steps that MLflow takes, for those that it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag
from seisweep.record.mlflow_names import Names, allowed_name, read_renamed, step, text

ODD = ["recall@5", "mAP[0.5]", "lr@0", "a" * 300, "/begins", "ends/", "a//b", "../up", ".", "", "a\ud800b", "a\nb", "%"]


@pytest.mark.parametrize("name", ["dev/f1", "picking/dev/P/f1", "lr", "a b:c-d.e_f", "größe"])
def test_a_name_that_mlflow_takes_stays(name):
    names = Names()
    assert names(name) == name
    assert not names.renamed


@pytest.mark.parametrize("name", ODD)
def test_another_name_is_one_that_mlflow_takes(name):
    said = Names()(name)
    _validate_metric(said, 0.5, 0, 0)
    _validate_param(said, "1")


def test_a_name_resembles_the_one_that_was_given():
    assert allowed_name("recall@5") == "recall_5"
    assert allowed_name("mAP[0.5]") == "mAP_0.5_"


@given(
    st.lists(st.text(max_size=8) | st.text("a@[/", max_size=4) | st.text("x", min_size=248, max_size=260), unique=True)
)
def test_no_two_names_are_one(given_names):
    names = Names()
    said = [names(name) for name in given_names]
    assert len(set(said)) == len(said)
    for name in said:
        _validate_metric(name, 0.5, 0, 0)
    assert [names(name) for name in given_names] == said


def test_a_later_session_gives_the_same_names_whatever_comes_first():
    first = Names()
    said = [first("recall@5"), first("recall_5")]
    second = Names(first.as_tag())
    assert [second("recall_5"), second("recall@5")] == [said[1], said[0]]


def test_the_tag_has_room_for_what_it_holds():
    names = Names()
    for number in range(200):
        names("@" * 100 + str(number))
    _validate_tag("renamed", names.as_tag())
    assert read_renamed(names.as_tag()).items() <= names.renamed.items()
    assert read_renamed("no json") == {}


def test_texts_and_steps_that_every_store_keeps():
    assert text("a\ud800b\0c") == "a?b\ufffdc"
    assert len(text("x" * 9000)) == 5000
    assert step(7) == 7
    assert step(10**30) == 2**63 - 1
